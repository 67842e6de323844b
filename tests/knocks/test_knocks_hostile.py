"""What was found by trying to break publishing, sweeps, the seal and a model of one's own."""

import dataclasses
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "knocks"))
samples = pytest.importorskip("samples", reason="the knocks lie beside the tests in a checkout")

from heliosight.cli import _quoted, _readable  # noqa: E402
from heliosight.core.errors import ConfigError, DataError, RecordError  # noqa: E402
from heliosight.core.files import MANIFEST, read_json, seal, verify  # noqa: E402
from heliosight.core.spec import ModalitySpec  # noqa: E402
from heliosight.data.image_folder import read_image_folder  # noqa: E402
from heliosight.data.splits import walk_forward  # noqa: E402
from heliosight.issuing.ledger import Ledger  # noqa: E402
from heliosight.workflows import sweep  # noqa: E402
from heliosight.workflows.config import AppConfig  # noqa: E402
from heliosight.workflows.dressed import _residuals  # noqa: E402
from heliosight.workflows.published import load_published, write_published  # noqa: E402
from heliosight.workflows.seal import open_block  # noqa: E402

DAY = 86400


# ----------------------------------------------------------------------------- published models


def resealed(folder, change):
    """A published folder whose config a stranger has written."""
    plain = read_json(folder / "config.json")
    change(plain)
    (folder / "config.json").write_text(json.dumps(plain))
    seal(folder)
    return folder


BOMBS = {
    "draws": lambda c: c["model"].update(draws=10**12),
    "leads": lambda c: c["spec"].update(leads=10**9),
    "width": lambda c: c["model"]["series"].update(features=10**9),
    "steps": lambda c: c["spec"]["modalities"]["solar_wind"].update(steps=10**12),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_published_config_that_asks_for_memory_is_refused_before_it_gets_any(name, tmp_path):
    folder = resealed(samples.published(tmp_path), BOMBS[name])
    with pytest.raises(RecordError, match="a published config is no larger than its weights"):
        load_published(folder)


def test_publishing_never_replaces_another_finished_folder(tmp_path):
    store = samples.store(tmp_path)
    before = (store / MANIFEST).read_bytes()
    with pytest.raises(RecordError, match="replaces nothing but a published model"):
        write_published(store, None, None, "", "")
    assert (store / MANIFEST).read_bytes() == before
    verify(store)


def test_a_published_folder_in_a_place_with_an_odd_name_is_read(tmp_path):
    place = tmp_path / "모델 <b>&'\" ünd so"
    place.mkdir()
    assert load_published(samples.published(place)).spec.leads == 24


# ------------------------------------------------------------------------------------- sweeps


def test_jobs_whose_values_differ_in_a_slash_lie_apart(tmp_path):
    names = {sweep.job_folder(tmp_path, f"data.folder={v}") for v in ("a/b", "a_b", "a\0b", "a\nb")}
    assert len(names) == 4


@pytest.mark.parametrize("content", ['{"other": 1}', "[]", '{"overrides": 3}'])
def test_a_job_that_does_not_tell_its_overrides_is_named(content, tmp_path):
    (tmp_path / sweep.JOB).write_text(content)
    with pytest.raises(RecordError, match="a job's folder tells its overrides"):
        sweep._told(tmp_path)


def test_one_table_has_one_reference(tmp_path, monkeypatch):
    jobs = iter([sweep.Job({}, name, None, (None,) * 3, (None,) * 3) for name in ("damped", "p24")])
    for name in ("a", "b"):
        (tmp_path / name / "evaluate").mkdir(parents=True)
        (tmp_path / name / sweep.JOB).write_text('{"overrides": "seed=1"}')
    monkeypatch.setattr(sweep, "is_sealed", lambda path: path.name == "evaluate")
    monkeypatch.setattr(sweep, "_job", lambda *_: next(jobs))
    run = SimpleNamespace(folder=tmp_path, config=AppConfig(systems={"a": ()}))
    with pytest.raises(RecordError, match=r"compared with one reference.*damped, p24"):
        sweep.swept(run)


# ----------------------------------------------------------------------------------- the seal


def test_a_ledger_of_something_else_opens_no_block(tmp_path):
    forecasts = Ledger(tmp_path / "ledger.jsonl")
    forecasts.append({"entry": "x", "hash": "0" * 64, "issue_times": []})
    times = 3 * 3600 * np.arange(16)
    ap = samples.SeriesTable(
        "geomagnetic", times, 3 * 3600, ("ap",), np.ones((16, 1), np.float32),
        np.zeros((16, 1), np.uint8), 0,
    )  # fmt: skip
    hashes = {"config": "c", "weights": "w", "data": "d"}
    with pytest.raises(RecordError, match="a ledger of seals lists openings of sealed blocks"):
        open_block(forecasts, Ledger(tmp_path / "own.jsonl"), ap, (0, DAY), hashes, "")
    assert len(forecasts.entries()) == 1


# ---------------------------------------------------------------------------- a model of one's own


def test_a_model_that_says_nan_on_its_past_issues_nothing():
    times = np.arange(4) * DAY
    windows = SimpleNamespace(batch=lambda t: SimpleNamespace(target=torch.ones(len(t), 24)))
    forecast = torch.ones(4, 24)
    forecast[2, 3] = torch.nan
    subject = SimpleNamespace(forecast=lambda _: forecast)
    with pytest.raises(DataError, match=r"gives finite numbers.*1 of 4.*first 1970-01-03"):
        _residuals(subject, windows, times)


# ------------------------------------------------------------------------------- configs


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_of_a_config_are_finite(number):
    with pytest.raises(ConfigError, match=r"explain\.score\.strong: a number is finite"):
        config = AppConfig()
        score = dataclasses.replace(config.explain.score, strong=number)
        dataclasses.replace(config, explain=dataclasses.replace(config.explain, score=score))
    with pytest.raises(ConfigError, match="buffer_days is 0 or more"):
        walk_forward(0, 900 * DAY, [(400 * DAY, 800 * DAY)], number)


@pytest.mark.parametrize(
    "change", [{"steps": 0}, {"cadence_hours": 0}, {"size": -1}, {"lag_hours": -6}]
)
def test_an_input_has_steps_a_spacing_and_pixels(change):
    good = ModalitySpec("images", "images", ("aia_193",), 4, 6, size=16)
    with pytest.raises(ConfigError, match=rf"inputs.i.{next(iter(change))}.* is [01] or more"):
        AppConfig(inputs={"i": dataclasses.replace(good, **change)})


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "..", "a/b", "\x1b[2J"])
def test_a_name_is_a_plain_folder_name(name):
    with pytest.raises(ConfigError, match="a name is a plain folder name"):
        AppConfig(name=name)


@pytest.mark.parametrize(("size", "cadence"), [(0, 6), (-1, 6), (10**12, 6), (16, 0), (16, -1)])
def test_frames_have_a_size_and_a_spacing(size, cadence, tmp_path):
    with pytest.raises(DataError, match="frames have a spacing, and 1 to 4096 pixels a side"):
        read_image_folder(samples.image_folder(tmp_path), ("aia_193",), size, cadence)


# ------------------------------------------------------------------------------- command lines


@settings(max_examples=50, deadline=None, database=None)
@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0$"), max_size=12))
def test_a_quoted_value_comes_back_whatever_it_holds(value):
    read = OverridesParser.create().parse_override(f"run_dir={_quoted(value)}").value()
    assert str(read) == value


def test_a_path_that_hydra_cannot_read_is_a_path():
    place = "/home/me/태양 run, (a=b) {x} <i>&'q\"/r"
    read = OverridesParser.create().parse_override(_readable(f"++run_dir={place}"))
    assert str(read.value()) == place
    for kept in ("seed=1,2", "x=[1,", "--config-dir", "a='", "systems={a: [b]}"):
        assert _readable(kept) == kept
