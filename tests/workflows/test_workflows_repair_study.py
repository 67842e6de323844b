"""The repair study: its cases, whether a planted fault took, and its rates."""

from dataclasses import replace

import pytest

from heliosight.core import records
from heliosight.core.errors import RecordError
from heliosight.core.records import Interval
from heliosight.core.records_remedy import RepairCase
from heliosight.workflows import improve_study, repair_case
from heliosight.workflows.config import AppConfig, app_config
from heliosight.workflows.improve_study import lines, rate, summary
from heliosight.workflows.repair_case import HEALTHY, PLANTED, Case, _key, cases
from heliosight.workflows.run import Run
from heliosight.zoo.worlds import SPECTRA, Law


def test_a_study_covers_every_fault_and_healthy_world():
    asked = list(cases(10))
    assert len(asked) == 10 * (len(PLANTED) + len(HEALTHY))
    assert [c.seed for c in asked[: len(PLANTED)]] == [1] * len(PLANTED)


def test_rates_have_exact_intervals():
    # Clopper & Pearson: 20 of 20 has the lower end 0.025 ** (1 / 20)
    assert rate([True] * 20).low == pytest.approx(0.025 ** (1 / 20))
    assert rate([False] * 10).high == pytest.approx(1 - 0.025 ** (1 / 10))
    assert rate([]).how == "no case"


@pytest.fixture
def small(monkeypatch):
    """Two years of Sun, a training of seconds, few questions."""
    sun = replace(SPECTRA["A"].sun, start="2011-01-01", end="2013-01-01")
    monkeypatch.setitem(SPECTRA, "A", replace(SPECTRA["A"], sun=sun))
    small = {"epochs": 2, "epoch_windows": 64, "validation_windows": 32, "batch_size": 32}
    monkeypatch.setattr(repair_case, "TRAINING", {**repair_case.TRAINING, **small})
    checks = {"level": "quick", "windows": 32, "exact_windows": 2}
    monkeypatch.setattr(repair_case, "CHECKS", checks)
    limits = {"windows": 64, "epochs": 1, "screen_epochs": 1, "rounds": 1}
    monkeypatch.setattr(repair_case, "LIMITS", {**repair_case.LIMITS, **limits})
    monkeypatch.setattr(repair_case, "TEST_START", "2012-06-01")
    monkeypatch.setitem(repair_case.SIZES, "weak_features", 1.0)


def test_the_study_from_end_to_end(tmp_path, monkeypatch, small):
    asked = [c for c in cases(1) if c.name in ("same_frame", "weak_features")]
    monkeypatch.setattr(improve_study, "cases", lambda _seeds: asked)
    plain = {"improve": {"study_seeds": 1, "replicates": 50}}
    run = Run(app_config({**plain, "threads": 1}), tmp_path, "heliosight improve study")
    late = replace(run.config, improve=replace(run.config.improve, minutes=1e-9))
    assert improve_study.study(replace(run, config=late)).lines[0] == "0 of 2 cases"
    told = improve_study.study(run).lines
    ill = repair_case.finished(run, tmp_path / "repair_study", asked[0])
    assert ill.repaired and ill.accepted == ("right_frames",) and not ill.by_continuing
    assert not ill.by_random and ill.gain is not None
    assert ill.harmed == (ill.gain.high < 0)  # two short epochs owe no skill
    weak = repair_case.finished(run, tmp_path / "repair_study", asked[1])
    assert ill.took and not weak.took, "features times 1 are no fault"
    assert told[0] == "2 of 2 cases" and "1 of 2" in told[1]
    assert improve_study.study(replace(run, config=late)).lines == told, "what is finished counts"
    assert repair_case.finished(run, tmp_path / "repair_study", Case("x", Law(), (), 1)) is None


def test_a_case_a_core_is_read_as_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(improve_study, "world", lambda _root, _law: None)
    plain = {"threads": 2, "improve": {"study_seeds": 1, "minutes": 1e-9}}
    run = Run(app_config(plain), tmp_path, "heliosight improve study")
    case = next(cases(1))
    made = RepairCase(case=case.name, planted=("x",), repaired=True)
    made = replace(made, provenance=run.provenance(_key(run, case), {}))
    records.save(repair_case.folder_of(tmp_path / "repair_study", case) / "result", made)
    told = improve_study.study(run).lines
    assert told[0] == "1 of 15 cases" and "1 of 1" in told[2]
    alone = Run(replace(run.config, threads=1), tmp_path, run.command)
    assert improve_study.study(alone).lines == told


def test_a_case_that_fails_leaves_the_others(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("HELIOSIGHT_QUIET", raising=False)

    def fails(run, root, case):
        if case.seed == 2:
            raise RecordError("one run at a time works in a folder", "another")
        return RepairCase(case=case.name, seed=case.seed, planted=("x",), repaired=True)

    monkeypatch.setattr(improve_study, "case_made", fails)
    monkeypatch.setattr(improve_study, "world", lambda _root, _law: None)
    monkeypatch.setattr(
        improve_study, "cases", lambda _s: [Case("a", Law(), (), s) for s in (1, 2)]
    )
    run = Run(app_config({"threads": 1}), tmp_path, "heliosight improve study")
    assert improve_study.study(run).lines[0] == "1 of 2 cases"
    assert "a, seed 2, is left out: " in capsys.readouterr().err


def test_a_full_disk_stops_the_study(tmp_path, monkeypatch):
    def fails(_run, _root, _case):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(improve_study, "case_made", fails)
    monkeypatch.setattr(improve_study, "world", lambda _root, _law: None)
    run = Run(app_config({"threads": 1}), tmp_path, "heliosight improve study")
    with pytest.raises(OSError, match="No space left"):
        improve_study.study(run)
    assert not (tmp_path / "repair_study" / "summary").exists()


def test_a_case_of_other_settings_is_not_finished(tmp_path, monkeypatch):
    case = Case("same_frame", Law(), ("same_frame",), 1)
    run = Run(AppConfig(), tmp_path, "heliosight improve study")
    made = replace(RepairCase(case="same_frame"), provenance=run.provenance(_key(run, case), {}))
    records.save(repair_case.folder_of(tmp_path, case) / "result", made)
    assert repair_case.finished(run, tmp_path, case) is not None
    monkeypatch.setitem(repair_case.CHECKS, "windows", 256)
    assert repair_case.finished(run, tmp_path, case) is None


@pytest.mark.parametrize("kind", ["weak_features", "state_not_carried"])
def test_a_fault_that_is_there_is_seen_beside_its_twin(tmp_path, monkeypatch, small, kind):
    monkeypatch.setitem(repair_case.SIZES, "weak_features", 1e-5)
    run = Run(AppConfig(), tmp_path, "heliosight improve study")
    case = Case(kind, Law(), (kind,), 1)
    monkeypatch.setattr(repair_case, "improved", lambda _p: repair_case.Chosen((), ()))
    assert repair_case.case_made(run, tmp_path / "repair_study", case).took


def test_a_study_is_summed_up_by_case(tmp_path):
    ill = RepairCase(case="a", seed=1, planted=("x",), found=("x",), repaired=True)
    harmed = RepairCase(
        case="a", seed=2, planted=("x",), gain=Interval(-0.1, -0.2, -0.01), harmed=True
    )
    untaken = RepairCase(case="a", seed=3, planted=("x",), took=False)
    well = RepairCase(case="b", seed=1, prescribed=("branch_norm",))
    record = summary(Run(AppConfig(), tmp_path), [ill, harmed, untaken, well], 30)
    assert record.rates["repaired"].value == 0.5
    assert record.rates["harmed, of all"].value == pytest.approx(1 / 4)
    assert record.rates["prescribed to the healthy"].value == 1.0
    assert lines(record)[0] == "4 of 30 cases"
