"""`--model`, `--checkpoint`, `--data` from end to end, on models that nobody here wrote."""

import json
import os
import pickle
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import foreign_models
import h5py
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from heliosight.cli import main, parse
from heliosight.core.clock import DAY, to_seconds, to_text
from heliosight.core.records import Diagnosis, load
from heliosight.issuing.archive import Archive
from heliosight.workflows.config import app_config
from heliosight.workflows.config_data import EventData
from heliosight.workflows.examined import foreign_subject
from heliosight.workflows.run import Run

ISSUE = to_seconds("2015-01-10")
WINDOWS, SIZE = 70, foreign_models.SIZE
OMNI = {
    "plasma_flow_speed_km_s": (400, 60), "proton_density_n_cm3": (6, 2),
    "proton_temperature_k": (9e4, 2e4), "b_magnitude_of_avg_field_vector_nt": (5, 1),
    "bz_gsm_nt": (0, 2), "ap_index_nt": (9, 4),
}  # fmt: skip
MINE = """
name: mine
threads: 1
inputs:
  images:
    {kind: images, table: images, variables: [aia_193, aia_211, hmi_magnetogram],
    steps: 28, cadence_hours: 6, size: 16, lag_hours: 6}
  solar_wind:
    {kind: series, table: solar_wind, variables: [speed, density, temperature, b_total, bz_gsm, ap],
    steps: 56, cadence_hours: 3}
systems: {full: [images, solar_wind]}
split: {stride_hours: 24}
subject:
  scaling:
    images: {mean: [127.5], std: [127.5]}
    solar_wind: {mean: [400, 6, 90000, 5, 0, 9], std: [60, 2, 20000, 1, 2, 4]}
  output: {scale: log1p_ap, mean: 2.2, std: 0.4}
diagnose:
  explainers: [grad_cam]
  checks: {level: quick, exact_windows: 2}
explain:
  context: 6
  method: {methods: [grad_cam, gradient_x_input], quick: true, importance_windows: 2}
"""


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """A folder of event files a day apart, and the config that reads them."""
    home = tmp_path_factory.mktemp("user")
    (home / "configs").mkdir()
    (home / "configs" / "mine.yaml").write_text(MINE)
    (home / "events").mkdir()
    rng = np.random.default_rng(1)
    count = 8 * (WINDOWS + 12)
    series = {name: rng.normal(*how, count).astype(np.float32) for name, how in OMNI.items()}
    series["ap_index_nt"] = np.abs(series["ap_index_nt"])
    frames = rng.integers(60, 200, (count // 2, 3, SIZE, SIZE), dtype=np.uint8)
    for day in range(WINDOWS):
        _event(home / "events", series, frames, day)
    return home


def _event(folder, series, frames, day):
    issue, first = ISSUE + day * DAY, 8 * day
    with h5py.File(folder / f"{to_text(issue)[:10]}.h5", "w") as file:
        for name, values in series.items():
            file[f"omni/{name}"] = values[first : first + 80]
        for c, name in enumerate(("aia_193", "aia_211", "hmi_magnetogram")):
            file[f"sdo/{name}"] = frames[first // 2 : first // 2 + 28, c]
        spans = {"t_start": issue - 7 * DAY, "t_target": issue, "t_end": issue + 3 * DAY}
        file.attrs.update({name: to_text(t) for name, t in spans.items()})


@pytest.fixture
def user(events, monkeypatch):
    monkeypatch.chdir(events)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return events


def words(stage, model, *more):
    asked = [stage, "--model", f"foreign_models:{model}", "--data", "events/"]
    return [*asked, "--config-name", "mine", *more]


def findings(capsys):
    return json.loads(capsys.readouterr().out)["findings"]


def causes(found):
    return {f["cause"] for f in found if f["outcome"] == "fault"}


KEY = "subject.output.key=prediction"


def test_the_published_style_model_and_its_position_over_the_batch(user, capsys):
    module = foreign_models.published_batch_position()
    torch.save({"model_state_dict": module.state_dict(), "epoch": 3}, user / "w.pth")
    more = ("--checkpoint", "w.pth", "--json", KEY)
    assert main(words("diagnose", "published_batch_position", *more)) == 1
    record = json.loads(capsys.readouterr().out)
    assert {"batch_leakage", "order_blind", "single_token"} <= causes(record["findings"])
    blind = [f["subject"] for f in record["findings"] if f["cause"] == "order_blind"]
    assert blind == ["solar_wind"]
    assert "batch leakage" in record["verdict"]
    assert record["inputs"]["sdo"] == "images (B T C H W)"
    assert record["parts"]["cell.images.1"] == "sdo_encoder.cells.1"
    assert record["windows"] == WINDOWS


def test_a_state_that_is_not_carried(user, capsys):
    assert main(words("diagnose", "published_forgetful", "convlstm", "--json", KEY)) == 1
    found = findings(capsys)
    assert "state_not_carried" in causes(found)
    assert {f["check"] for f in found} <= {"SUBJECT", "T4", "T5", "T12", "T13"}


def test_advice_comes_with_a_check_that_tells_whether_it_worked(user, capsys):
    assert main(words("improve", "published_forgetful", KEY)) == 1
    told = capsys.readouterr().out
    advice = told[told.index("carry_state: ") :]
    assert "state = cell(x[:, t], state)" in advice and "Worked when: T4 and T13" in advice
    again = re.search(r"ask again: heliosight (diagnose .+)", advice).group(1)
    for model, ill in (("published_forgetful", True), ("published", False)):
        mended = again.replace("foreign_models:published_forgetful", f"foreign_models:{model}")
        main([*shlex.split(mended), "--json"])
        found = findings(capsys)
        assert {f["check"] for f in found} <= {"SUBJECT", "T4", "T5", "T13"}
        assert ("state_not_carried" in causes(found)) == ill


def test_a_diagnosis_says_what_to_type_next_and_what_flatters_the_model(user, capsys):
    main(words("diagnose", "published_forgetful", "usage", KEY, "--force"))
    told = capsys.readouterr().out
    assert f"subject.first is not set: all {WINDOWS} windows are asked" in told
    page = re.search(r"as a page: heliosight (report .+)", told).group(1)
    assert "usage" not in page and "--force" not in page
    assert main(shlex.split(page)) == 0
    assert "report: " in capsys.readouterr().out
    main(words("diagnose", "published_forgetful", "usage", KEY, f"subject.first={to_text(ISSUE)}"))
    told = capsys.readouterr().out
    assert "subject.first is not set" not in told and "what to do: heliosight improve" in told


def test_a_volume_model_with_and_without_its_fault(user, capsys):
    save_file(foreign_models.volume().state_dict(), user / "v.safetensors")
    assert main(words("diagnose", "volume", "--checkpoint=v.safetensors", "--json")) == 0
    assert causes(findings(capsys)) == set()
    more = ("--checkpoint=v.safetensors", "--json", "subject.parts.encoder.images=features")
    assert main(words("diagnose", "volume_detached", *more)) == 1
    record = json.loads(capsys.readouterr().out)
    found = {(f["cause"], f["subject"]) for f in record["findings"] if f["outcome"] == "fault"}
    assert ("detached", "images") in found
    assert record["parts"]["encoder.images"] == "features"


def test_a_transformer_on_each_frame_and_recurrent_cells(user, capsys):
    assert main(words("diagnose", "patches", "--json")) == 0
    record = json.loads(capsys.readouterr().out)
    assert causes(record["findings"]) == set()
    cell = [f for f in record["findings"] if f["subject"] == "cell.solar_wind.0"]
    assert {f["outcome"] for f in cell if f["check"] == "T4"} == {"healthy"}


def test_explanation_and_report_of_a_foreign_model(user, capsys):
    assert main(words("diagnose", "published", KEY)) in (0, 1)
    told = capsys.readouterr().out
    assert "sdo = images (B T C H W)" in told and "sdo_encoder.cells.0" in told
    assert main(words("explain", "published", KEY)) == 0
    assert "grad_cam (cell.images.1)" in capsys.readouterr().out
    assert main(words("report", "published", KEY)) == 0
    page = next((user / "runs/mine/models").glob("*/report.html"))
    assert str(page) in str(user / capsys.readouterr().out.split("report: ")[1].strip())
    text = page.read_text()
    assert "single token" in text or "single_token" in text
    found = load(page.parent / "diagnose", Diagnosis)
    assert set(found.provenance.parents) == {"data", "model"}


class Evil:
    def __reduce__(self):
        return os.mkdir, ("owned",)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda p: p.write_bytes(pickle.dumps(Evil())), "runs no code"),
        (lambda p: torch.save({"state_dict": Evil()}, p), "runs no code"),
        (lambda p: torch.save({"flat.weight": torch.ones(2)}, p), "fits its model"),
        (lambda p: p.write_bytes(b"nothing"), "a checkpoint"),
        (lambda p: p.with_suffix(".x").touch(), "a checkpoint is a file"),
    ],
)
def test_bad_checkpoints_are_refused_and_run_nothing(user, tmp_path, capsys, write, said):
    write(tmp_path / "w.pth")
    assert main(words("diagnose", "volume", "--checkpoint", str(tmp_path / "w.pth"))) == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err
    assert not (user / "owned").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["subject.parts.cell.images.0=sdo_encoder.cell"], "Nearest: sdo_encoder.cells"),
        (["subject.inputs.sdo=images BTCHW"], "an adapter"),
        (["subject.leads=7"], r"a forecast is \(windows, leads\)"),
        (["subject.first=2020-01-01"], "examined on complete windows"),
        (["subject.first=soon"], "a time is ISO 8601"),
    ],
)
def test_a_mistake_is_one_clear_line(user, more, said, capsys):
    assert main(words("diagnose", "published", KEY, *more)) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert re.search(said, err) or said == "an adapter"


def test_a_missing_model_is_one_clear_line(user, capsys):
    for model, said in (("nothing", "There is:"), ("Published()", "module and function")):
        assert main(words("diagnose", model)) == 2
        assert said in capsys.readouterr().err


def test_options_become_overrides(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = parse(["diagnose", "--model", "a.b:c", "--checkpoint=it's.pth", "--data", "events/"])
    assert asked.hydra == (
        "++subject.model='a.b:c'", r"++subject.checkpoint='it\'s.pth'", "++data.type=events",
        "++data.folder='events/'",
    )  # fmt: skip
    (tmp_path / "manifest.json").write_text("{}")
    assert parse(["report", "--data", "."]).hydra[0] == "++data.type=store"


def test_the_package_answers_at_once_and_knows_its_verbs():
    code = (
        "import sys, heliosight; assert 'torch' not in sys.modules and 'numpy' not in sys.modules; "
        "assert callable(heliosight.diagnose) and callable(heliosight.subject.wrap); "
        "assert heliosight.wrap is heliosight.subject.wrap; "
        "assert 'diagnose' in dir(heliosight)\n"
        "try: heliosight.nothing\nexcept AttributeError as e: assert 'nothing' in str(e)\n"
        "else: raise SystemExit(1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


FIRST = ("subject.first=2015-01-10", "forecast.windows=65")


def test_a_users_model_issues_forecasts_dressed_with_its_own_past_errors(user, capsys):
    asked = (KEY, *FIRST, "forecast.methods=[gradient_x_input]")
    assert main(words("diagnose", "published", *asked[:2])) in (0, 1)
    capsys.readouterr()
    assert main(words("forecast", "published", "--at", "2015-03-18", *asked)) == 0
    home = user / "runs/mine/models/foreign_models_published"
    archive = Archive(home / "forecast")
    (entry,) = archive.listed()
    record, arrays = archive.read(entry)
    assert record.hindcast and record.system == "foreign_models_published"
    assert record.fold_start == "2015-01-10T00:00:00Z", "from here on it has learned nothing"
    assert record.grade.checks > 5 and record.grade.made, "the diagnosis of this very model"
    assert record.weights == load(home / "diagnose", Diagnosis).provenance.parents["model"]
    assert np.isfinite(arrays.storm).all() and (np.diff(arrays.quantiles[0], axis=-1) >= 0).all()
    assert {f"page.{k}.html" for k in ("en", "ko")} < {
        p.name for p in archive.entry(entry.name).iterdir()
    }
    twin_of_the_quantiles(user, arrays)
    assert main(words("forecast", "published", "verify", *asked)) == 0
    assert "1 entries verified now" in capsys.readouterr().out
    span = ("--from", "2015-03-19", "--to", "2015-03-19T12:00", "--every", "6h")
    assert main(words("forecast", "published", *span, *asked)) == 0
    assert [len(e.issue_times) for e in archive.listed()] == [1, 3]


def twin_of_the_quantiles(user, arrays):
    """log1p of the forecast plus the quantiles of its earlier errors, one window at a time."""
    config = app_config(OmegaConf.to_container(OmegaConf.load(user / "configs/mine.yaml")))
    subject_config = replace(config.subject, model="foreign_models:published", first="2015-01-10",
                             output=replace(config.subject.output, key="prediction"))  # fmt: skip
    config = replace(config, subject=subject_config, data=EventData(folder="events"))
    subject, _, windows, times = foreign_subject(Run(config, user / "runs/mine"))
    issue = to_seconds("2015-03-18")
    errors = [
        np.log1p(windows.batch(np.array([t])).target[0].numpy())
        - np.log1p(subject.forecast(windows.batch(np.array([t])))[0].clamp(min=0).numpy())
        for t in times[times <= issue - 3 * DAY]
    ]
    assert len(errors) >= 64
    mean = np.log1p(subject.forecast(windows.batch(np.array([issue])))[0].clamp(min=0).numpy())
    wanted = np.maximum(mean + np.quantile(np.array(errors), [0.05, 0.5, 0.95], axis=0), 0)
    found = np.log1p(arrays.quantiles[0][:, [0, 3, 6]].T)
    np.testing.assert_allclose(found, wanted, atol=2e-4)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "those on times it has not learned from"),
        (["subject.first=2015-03-01"], "64 or more earlier ones"),
        (["subject.first=2015-01-10", "subject.leads=8"], "24 intervals of 3 h"),
    ],
)
def test_a_users_model_without_a_past_issues_nothing(user, capsys, more, said):
    asked = ("forecast", "published", "--at", "2015-03-15", KEY, *more)
    assert main(words(*asked)) == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err
