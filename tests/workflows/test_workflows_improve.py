"""The whole improvement of a tiny ill model, once for all tests of this file."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from heliosight.cli import main
from heliosight.core import records
from heliosight.core.errors import NotApplicable
from heliosight.core.predictions import Predictions
from heliosight.core.records import load_arrays
from heliosight.core.records_remedy import Improvement, TrialRun
from heliosight.workflows.arms import AS_GIVEN, Way, arm_forecast, arm_model, ill_weights
from heliosight.workflows.before_after import difference
from heliosight.workflows.config import app_config
from heliosight.workflows.errors_compared import paired_change
from heliosight.workflows.pool import Workers, _one_thread_each, workers
from heliosight.workflows.run import Run
from heliosight.workflows.treatment import Chosen, Progress, bench_of, improved
from heliosight.workflows.trials import merged

CONFIGS = Path(__file__).parent / "configs"


def words(folder, *more):
    config = ["--config-dir", str(CONFIGS), "--config-name", "ill_tiny"]
    return ["improve", *config, f"run_dir={folder}", *more]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "ill"
    assert main(words(folder)) == 0
    return folder


def result(folder):
    return records.load(folder / "improve" / "result", Improvement)


def test_the_state_is_carried_again_and_proved(made):
    found = result(made)
    screening, proof = found.trials
    assert screening.prescriptions == proof.prescriptions == ("carry_state",)
    assert not screening.proof and set(screening.changes) == {"as_it_was"}
    assert proof.proof and proof.accepted and proof.control_cleared == 0
    assert len(proof.changes) == 2 and next(iter(proof.changes)) == "as_it_was"
    causes = [
        {f.cause for f in side if f.outcome == "fault"} for side in (found.before, found.after)
    ]
    assert "state_not_carried" in causes[0] and "state_not_carried" not in causes[1]
    assert {g.aspect for g in found.grades_after} == {"temporal", "saliency", "forecast"}
    assert next(r for r in found.scores if r.system == "knowable").metrics["ceiling"].value > 0.3


def test_the_page_shows_both_models(made):
    page = (made / "improve.html").read_text()
    for part in ("carry the state", "as it was", "improve_chart_importance", "run_dir="):
        assert part in page
    assert "SIMULATED" in page


def test_a_second_run_trains_nothing_and_another_language_is_only_drawn(made, monkeypatch, capsys):
    monkeypatch.delenv("HELIOSIGHT_QUIET")
    before = {p: p.stat().st_mtime_ns for p in made.rglob("record.json")}
    assert main(words(made, "report.language=ko")) == 0
    told = capsys.readouterr().err
    assert f"the plan as it stands: {made / 'improve' / 'plan.txt'}" in told
    assert "heliosight: found: state not carried in cell.images.0" in told
    assert "heliosight: carry_state: promising (" in told
    assert "heliosight: proof: carry_state: accepted (" in told
    assert "heliosight: training" not in told
    assert {p: p.stat().st_mtime_ns for p in made.rglob("record.json")} == before
    assert 'lang="ko"' in (made / "improve.ko.html").read_text()


def test_the_plan_stays_readable(made):
    text = (made / "improve" / "plan.txt").read_text()
    assert "[x] carry_state" in text and "[.] temporal_attention" in text
    assert "[x] proof: carry_state" in text


def bench_in(folder, threads, **limits):
    plain = yaml.safe_load((CONFIGS / "ill_tiny.yaml").read_text())
    plain["improve"] |= limits
    return bench_of(Run(app_config({**plain, "threads": threads}), folder, "heliosight improve"))


def test_processes_make_the_same_arm_as_this_one_and_make_it_once(made, tmp_path):
    way = Way("branch_norm", {"model.branch_norm": True}, (), True)
    forecasts = []
    for threads in (1, 2):
        folder = tmp_path / str(threads)
        shutil.copytree(made, folder)
        with workers(bench_in(folder, threads)) as team:
            assert (team.executor is not None) == (threads == 2)
            team.start(way, [3])
            ((run,), again) = team.made(way, [3]), team.made(way, [3])
            with pytest.raises(NotApplicable, match="a key the config has"):  # told as it happened
                team.made(Way("wrong", {"model.unknown.key": 1}), [3])
        assert again == (run,) and run.arm == "branch_norm" and run.seed == 3
        forecasts.append(arm_forecast(team.bench, way, 3).mean_log)
    assert np.array_equal(*forecasts)


def test_an_ill_model_asked_for_alone_is_the_same_and_forecasts_nothing(made, tmp_path):
    """Of the run's own seed and of another one; the arms start from the same weights."""
    shutil.copytree(made, tmp_path / "copy")
    whole = bench_in(tmp_path / "copy", 1)
    alone = replace(bench_in(tmp_path / "new", 1), alone=True)
    own = [load_file(ill_weights(bench, 3)) for bench in (whole, alone)]
    assert set(own[0]) == set(own[1])
    names = [n for n, _ in arm_model(whole, AS_GIVEN, 3)[1].named_parameters()]
    assert all(torch.equal(own[0][n], own[1][n]) for n in names)
    other = ill_weights(whole, 4).parent
    assert other == whole.folder / "ill" / "seed_4" / "alone"
    first = ill_weights(whole, 4).stat().st_mtime_ns
    assert ill_weights(whole, 4).stat().st_mtime_ns == first, "it is made once"
    assert not load_arrays(other) and not (tmp_path / "new" / "train").exists()
    assert not torch.equal(load_file(other / "weights.safetensors")[names[0]], own[0][names[0]])


def test_a_budget_of_no_time_keeps_what_is_finished(made, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    for kind in ("screening", "trials"):
        shutil.rmtree(copy / "improve" / kind / "carry_state")
    progress = Progress(Workers(bench_in(copy, 1, minutes=0.000001)))
    assert improved(progress) == Chosen((), ()) and progress.trials == []
    assert "left out" in {row.state for row in progress.rows.values()}
    assert "the budget is spent" in (copy / "improve" / "plan.txt").read_text()
    assert not list((copy / "improve").glob("*/carry*"))


def test_every_arm_starts_from_the_same_ill_weights_and_is_sealed(made):
    arms = sorted((made / "improve" / "trials").glob("*/seed_3"))
    runs = [records.load(folder, TrialRun) for folder in arms]
    names = {r.arm for r in runs}
    assert {"as_it_was", "carry_state"} < names and any(n.startswith("random_") for n in names)
    assert len({len(records.load_arrays(folder)["issue_time"]) for folder in arms}) == 1


def test_a_system_without_images_is_refused(made, capsys):
    assert main(words(made, "systems.full=[solar_wind]")) == 2
    assert "an improvement looks at a system with images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("improve.seeds=0", "a count is at least 1"),
        ("improve.margin=-1", "a limit is 0 or more"),
        ("improve.knowable_issues=2", "what is knowable needs at least 4 issue times. Found: 2"),
    ],
)
def test_a_wrong_limit_is_refused(change, told, capsys):
    assert main(["config", "validate", change]) == 2
    assert told in capsys.readouterr().err


def predictions(shift, n=400):
    times = np.arange(n, dtype=np.int64) * 86400
    rng = np.random.default_rng(0)
    y = rng.normal(2, 0.5, (n, 24))
    f = y + shift
    return Predictions(
        "x", times, f, np.expm1(f), np.expm1(y), np.zeros(0), np.zeros((n, 24, 0)),
        np.full((n, 3, 3), np.nan), np.zeros(n, np.int64),
    )  # fmt: skip


def test_an_error_change_is_a_share_of_the_targets_variance():
    worse, good = predictions(0.3), predictions(0.1)
    change = paired_change([(worse, good)], 200, 0)
    y = np.log1p(good.observed).reshape(400, 3, 8).mean(2)
    assert change.value == pytest.approx((0.09 - 0.01) / y.var(0).mean(), rel=1e-6)
    assert change.low is not None and change.low > 0
    back = paired_change([(good, worse)], 200, 0)
    assert back.value == pytest.approx(-change.value)
    same = paired_change([(good, good), (worse, worse)], 200, 0)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_patches_of_faults_are_joined():
    a, b = {"faults": {"$without": ["x"]}, "k": 1}, {"faults": {"$without": ["y"]}, "k": 2}
    assert merged([a, b]) == {"faults": {"$without": ["x", "y"]}, "k": 2}


def test_a_difference_names_the_keys_that_change():
    assert difference({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}) == {"a.c": "2 -> 3"}


def test_processes_get_one_thread_of_linear_algebra(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with _one_thread_each():
        assert os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7" and "OPENBLAS_NUM_THREADS" not in os.environ
