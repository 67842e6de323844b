"""The whole way on a tiny simulated Sun, once for all tests of this file."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import heliosight
from heliosight.cli import main
from heliosight.core import files, records
from heliosight.core.errors import RecordError
from heliosight.core.variables import IMAGE_CHANNELS
from heliosight.evaluation.scorecard import find
from heliosight.workflows import store
from heliosight.workflows.config import app_config
from heliosight.workflows.published import load_published
from heliosight.workflows.run import Run
from heliosight.workflows.study import study_of
from heliosight.workflows.trained import forecaster

CONFIGS = Path(__file__).parent / "configs"


def words(stage, folder, *more):
    return [
        stage,
        *more,
        "--config-dir",
        str(CONFIGS),
        "--config-name",
        "tiny",
        f"run_dir={folder}",
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(words("demo", folder)) in (0, 1)
    return folder


def test_every_stage_leaves_its_record(made):
    assert records.load(made / "data", records.DatasetCard).provenance.simulated
    for system in ("full", "wind"):
        trained = records.load(made / "train" / system / "test_2012-06-01", records.TrainedRun)
        assert trained.epochs == 1
    card = records.load(made / "evaluate", records.Scorecard)
    systems = {row.system for row in card.rows}
    assert {"full", "wind", "damped", "ridge_omni_ch", "recurrence_27d"} <= systems
    assert any(row.system == "full - wind" for row in card.differences)
    assert records.load(made / "diagnose", records.Diagnosis).findings
    assert (made / "report.html").stat().st_size > 100_000
    page = (made / "report.html").read_text()
    assert "simulated" in page.lower()


def test_a_second_run_uses_everything_again(made, capsys):
    before = {p: p.stat().st_mtime_ns for p in made.rglob("record.json")}
    page = (made / "report.html").read_bytes()
    main(words("demo", made))
    assert {p: p.stat().st_mtime_ns for p in made.rglob("record.json")} == before
    assert (made / "report.html").read_bytes() == page
    out, progress = capsys.readouterr()
    assert "[4/6] diagnose: is every input used" in progress
    assert str(made / "report.html") in out
    assert "skill: full against damped" in out


def test_a_stage_prints_its_record_as_json(made, capsys):
    assert main(words("evaluate", made, "--json")) == 0
    assert json.loads(capsys.readouterr().out)["reference"] == "damped"
    main(words("diagnose", made, "--json"))
    assert json.loads(capsys.readouterr().out)["findings"]
    assert main(words("train", made, "--json")) == 0
    assert [r["name"] for r in json.loads(capsys.readouterr().out)] == ["full", "wind"]
    assert main(words("explain", made, "--json")) == 0
    told = [r["method"].split()[0] for r in json.loads(capsys.readouterr().out)]
    assert told[:2] == ["grad_cam", "gradient_x_input"]


def test_part_of_a_diagnosis_shows_its_checks(made, capsys):
    main(words("diagnose", made, "convlstm", "--json"))
    shown = {f["check"] for f in json.loads(capsys.readouterr().out)["findings"]}
    assert "T4" in shown
    assert shown <= {"T4", "T5", "T12", "T13"}


def test_many_windows_are_surveyed_and_reach_the_report(made, capsys):
    few = ("explain.survey_windows=4", "explain.survey_method=gradient_x_input")
    assert main(words("explain", made, "--survey", "--json", *few)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["windows"] == 4 and -1 <= told["icc_windows"] <= 1
    before = (made / "explain_survey" / "record.json").stat().st_mtime_ns
    assert main(words("explain", made, "--survey", *few)) == 0
    assert (made / "explain_survey" / "record.json").stat().st_mtime_ns == before
    assert main(words("report", made)) in (0, 1)
    assert "Where attention goes over many windows" in (made / "report.html").read_text()
    assert main(words("explain", made, "--survey", "explain.survey_windows=1")) == 2
    assert "at least two windows" in capsys.readouterr().err


def test_explanations_lie_there_as_netcdf_and_any_named_target_can_be_asked(made, tmp_path, capsys):
    assert len(list((made / "explain").glob("*/explanation.nc"))) >= 2
    copy = shutil.copytree(made, tmp_path / "copy")
    other = ("explain.method.target=p_g1_day1", "explain.method.methods=[gradient_x_input]")
    assert main(words("explain", copy, "--json", *other)) == 0
    told = json.loads(capsys.readouterr().out)
    assert {r["target"] for r in told} == {"p_g1_day1"}
    assert {r["units"] for r in told} == {"probability"}


def test_a_store_can_be_inspected(made, capsys):
    assert main(words("data", made, "inspect")) == 0
    out = capsys.readouterr().out
    assert "SIMULATED" in out
    assert "aia_193" in out


def test_the_report_speaks_korean(made):
    assert main([*words("report", made), "report.language=ko"]) == 0
    assert 'lang="ko"' in (made / "report.ko.html").read_text()


def test_changed_training_makes_a_stage_refuse_the_old_model(made, capsys):
    assert main([*words("diagnose", made), "training.batch_size=8"]) == 2
    assert "Run heliosight train" in capsys.readouterr().err


def test_an_altered_record_is_not_used_again(made, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    path = copy / "evaluate" / "record.json"
    path.write_text(path.read_text().replace('"damped"', '"dumped"', 1))
    assert main(words("evaluate", copy)) == 0
    assert records.load(copy / "evaluate", records.Scorecard).reference == "damped"


def test_a_report_shows_no_record_of_another_model(made, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    assert main([*words("train", copy), "seed=4"]) == 0
    assert main([*words("report", copy), "seed=4"]) == 0
    assert (copy / "report.html").stat().st_size < (made / "report.html").stat().st_size / 2


def test_the_explained_window_is_one_the_model_never_saw(made, capsys):
    outside = [*words("explain", made), "explain.issue_time=2011-06-01T00:00:00"]
    assert main(outside) == 2
    assert "lies in the fold's test block" in capsys.readouterr().err


def test_a_frame_is_named_by_its_own_time(made, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    one = "explain.method.methods=[gradient_x_input]"
    main([*words("explain", copy), "explain.issue_time=2012-08-01T03:00:00", one])
    records_found = [
        records.load(p.parent, records.Explanation) for p in copy.glob("explain/*/record.json")
    ]
    newest = {r.frame_times[-1] for r in records_found if r.frame_times}
    assert newest == {"2012-08-01T00:00:00Z"}


def test_frames_from_a_file_have_a_page_of_their_own(made, tmp_path):
    rng = np.random.default_rng(0)
    shown = {c: rng.integers(20, 200, (28, 16, 16)).astype(np.uint8) for c in IMAGE_CHANNELS}
    np.savez(tmp_path / "frames.npz", **shown)
    copy, frames = tmp_path / "copy", f"explain.frames={tmp_path}/frames.npz"
    shutil.copytree(made, copy)
    before = (copy / "report.html").read_bytes()
    one = "explain.method.methods=[grad_cam]"
    assert main([*words("explain", copy), frames, one]) in (0, 1)
    assert main([*words("report", copy), frames, one, "report.language=ko"]) == 0
    page = (copy / "report.frames.ko.html").read_text()
    assert "real frames of unknown date" in page
    assert (copy / "report.html").read_bytes() == before
    assert b"real frames of unknown date" not in before


@pytest.mark.parametrize(
    ("stage", "change", "told"),
    [
        ("diagnose", "diagnose.fold=3", "a fold is one of the split's"),
        ("explain", "explain.fold=-2", "a fold is one of the split's"),
        ("data", "threads=0", "a run uses at least one thread"),
        ("explain", "explain.issue_time=foo", "a time is ISO 8601"),
        ("explain", "explain.issue_time=2012-08-01T01:00:00", "lies on the 3-hour grid"),
        ("data", "data.type=events", "a folder of event files holds"),
        ("train", "split.test_starts=[]", "a split names its test blocks"),
        ("explain", "explain.frames=/nowhere.npz", "nowhere"),
        ("data", "data.type=archives", "every archive file of the config is on disk"),
    ],
)
def test_a_mistake_is_one_clear_line(made, stage, change, told, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HELIOSIGHT_DATA", str(tmp_path))
    assert main([*words(stage, made), change]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert "Traceback" not in err


@pytest.fixture
def no_sun(monkeypatch):
    """What can be refused at once is refused before anything is computed."""

    def never(_):
        raise AssertionError("a Sun was simulated first")

    monkeypatch.setattr(store, "simulate", never)


def test_a_folder_that_cannot_be_written_is_one_clear_line(no_sun, tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert main(words("data", blocked / "run")) == 2
    assert "could not be used" in capsys.readouterr().err


def test_a_simulated_store_stays_simulated(made, tmp_path, capsys):
    words_now = [*words("data", tmp_path / "again"), "data.type=store", f"data.folder={made}/data"]
    assert main(words_now) == 0
    assert "SIMULATED" in capsys.readouterr().out
    assert main([*words_now[:1], *words_now[1:], "--json"]) == 0


@pytest.mark.parametrize(
    ("stage", "told"),
    [("train", "training needs systems"), ("diagnose", "this stage looks at a system")],
)
def test_a_run_without_systems_says_so(stage, told, no_sun, tmp_path, capsys):
    folder = f"run_dir={tmp_path / 'bare'}"
    assert main([stage, "--config-dir", str(CONFIGS), "--config-name", "bare", folder]) == 2
    assert told in capsys.readouterr().err


def test_force_makes_a_stage_again_and_nothing_before_it(made, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("record.json")}
    main(words("evaluate", copy, "--force"))
    changed = {p for p, t in before.items() if p.stat().st_mtime_ns != t}
    assert changed == {copy / "evaluate" / "record.json"}


@pytest.fixture(scope="module")
def published(made):
    folder = made / "published"
    assert main(words("publish", made, "publish.contact=someone@example.org")) == 0
    return folder


def test_a_published_folder_gives_the_very_same_forecasts(made, published):
    plain = OmegaConf.to_container(OmegaConf.load(CONFIGS / "tiny.yaml"))
    run = Run(app_config(plain), made)
    study = study_of(run)
    ours, theirs = forecaster(study, "full", 0), load_published(published)
    assert ours.spec == theirs.spec and not theirs.training
    assert theirs.config == ours.config
    batch = study.windows("full").batch(study.times("full", study.folds[0].test)[:4])
    with torch.no_grad():
        a, b = ours(batch), theirs(batch)
    assert torch.equal(a.forecast.quantiles, b.forecast.quantiles)
    assert torch.equal(a.forecast.mean, b.forecast.mean)
    assert torch.equal(a.auxiliary["area"], b.auxiliary["area"])
    assert torch.equal(ours.event_probability(a), theirs.event_probability(b))


def test_a_model_card_says_what_the_records_say(made, published):
    card = (published / "README.md").read_text()
    assert card.startswith("---\nlicense: bsd-3-clause\nlibrary_name: heliosight\n")
    assert "SIMULATED data" in card and "someone@example.org" in card
    score = find(
        records.load(made / "evaluate", records.Scorecard).rows, "full", "day 2", "corr_log_pooled"
    )
    assert f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]" in card
    assert records.load(made / "diagnose", records.Diagnosis).verdict in card
    assert "| images | aia_193 [grey level], aia_211 [grey level]" in card
    assert "| solar_wind | speed [km s-1], density [cm-3]" in card
    assert "# Data of tiny" in (published / "DATA_CARD.md").read_text()
    kept = {p.name for p in published.iterdir()}
    assert kept == {
        "README.md",
        "DATA_CARD.md",
        "config.json",
        "model.safetensors",
        "manifest.json",
    }


def test_a_card_claims_nothing_that_was_not_measured(made, tmp_path, capsys):
    shutil.copytree(made / "train", tmp_path / "train")
    shutil.copytree(made / "data", tmp_path / "data")
    assert main(words("publish", tmp_path)) == 0
    card = (tmp_path / "published" / "README.md").read_text()
    assert "These weights were not evaluated." in card
    assert "These weights were not diagnosed." in card
    assert main(words("publish", tmp_path, "publish.fold=4")) == 2
    assert "a fold is one of the split's" in capsys.readouterr().err
    assert main(words("publish", tmp_path, "faults=[{kind: collapse}]")) == 2
    assert "a published model has no planted fault" in capsys.readouterr().err


def _changed(published, folder, name, change):
    """A copy of a published folder with one file changed and sealed again."""
    shutil.copytree(published, folder)
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    (folder / "manifest.json").unlink()
    files.seal(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("config.json", lambda b: b.replace(b'"format_version": 1', b'"format_version": 9'),
         "this is a heliosight-forecaster of version 1"),
        ("config.json", lambda _: b"[]", "this is a heliosight-forecaster"),
        ("config.json", lambda b: b.replace(b'"hidden": 8', b'"hiden": 8'), "one of ours.*hiden"),
        ("config.json", lambda b: b.replace(b'"variables": [', b'"variables": ["kp",'),
         "weights belong to the same architecture"),
        ("config.json", lambda b: json.dumps({**json.loads(b), "spec": {}}).encode(),
         "a published config builds its model.*at least one modality"),
        ("model.safetensors", lambda b: b[:-5], "a whole safetensors file"),
    ],
)  # fmt: skip
def test_a_changed_published_folder_is_refused(published, tmp_path, name, change, said):
    with pytest.raises(RecordError, match=said):
        load_published(_changed(published, tmp_path / "p", name, change))


def test_a_published_folder_is_read_whole_or_not_at_all(published, tmp_path):
    copy = shutil.copytree(published, tmp_path / "p")
    (copy / "model.safetensors").write_bytes(b"other")
    with pytest.raises(RecordError, match="present and whole"):
        load_published(copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(RecordError, match="a finished folder has a manifest"):
        load_published(str(copy))
    assert heliosight.load_published is load_published


def test_some_checks_asked_again_leave_the_whole_diagnosis(made, tmp_path):
    copy = shutil.copytree(made, tmp_path / "copy")
    whole = records.load(copy / "diagnose", records.Diagnosis)
    some = words("diagnose", copy, "diagnose.checks.checks=[T7]")
    assert main(some) in (0, 1) and main(some) in (0, 1)
    assert records.load(copy / "diagnose", records.Diagnosis) == whole
    asked = records.load(copy / "diagnose_some", records.Diagnosis)
    assert {f.check for f in asked.findings} == {"T7"}
    (copy / "diagnose" / "record.json").write_text("{")  # a damaged one stands in nobody's way
    assert main(some) in (0, 1)
    assert {f.check for f in records.load(copy / "diagnose", records.Diagnosis).findings} == {"T7"}


def test_a_fuller_diagnosis_of_another_model_is_not_kept(made, tmp_path):
    copy = shutil.copytree(made, tmp_path / "copy")
    folder = copy / "diagnose"
    whole = records.load(folder, records.Diagnosis)
    other = replace(whole.provenance, parents={**whole.provenance.parents, "data": "0" * 64})
    records.save(folder, replace(whole, provenance=other))
    assert main(words("diagnose", copy, "diagnose.checks.checks=[T7]")) in (0, 1)
    assert {f.check for f in records.load(folder, records.Diagnosis).findings} == {"T7"}


def test_a_report_names_what_was_not_made(made, tmp_path, capsys):
    copy = shutil.copytree(made, tmp_path / "copy")
    assert main(words("report", copy)) == 0
    assert "not on it" not in capsys.readouterr().out
    shutil.rmtree(copy / "diagnose")
    assert main(words("report", copy)) == 0
    said = capsys.readouterr().out
    assert said.count("not on it") == 1 and "was not made: heliosight diagnose" in said
