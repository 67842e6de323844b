"""Explanations held to a known truth on two tiny worlds, once for all tests of this file."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from heliosight.cli import main
from heliosight.core import records
from heliosight.core.clock import DAY
from heliosight.core.predictions import Predictions
from heliosight.core.records_explain import ExplanationScore, ScoredModel
from heliosight.report.score_page import render_score_page
from heliosight.workflows.explain_score import explained_share, windows_of

CONFIGS = Path(__file__).parent / "configs"


def words(folder, *more):
    options = ["--config-dir", str(CONFIGS), "--config-name", "tiny_score", f"run_dir={folder}"]
    return ["explain", "--score", *options, *more]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "score"
    assert main(words(folder)) == 0
    return folder / "explain_score"


@pytest.fixture(scope="module")
def record(made):
    return records.load(made / "record", ExplanationScore)


def test_every_world_and_seed_is_scored(record):
    assert [(m.world, m.seed) for m in record.models] == [
        ("still", 1), ("still", 2), ("turning", 1), ("turning", 2)
    ]  # fmt: skip
    assert {m.windows for m in record.models} == {2}
    assert all(m.achievable <= 1 for m in record.models)
    slices = {row.slice for row in record.rows}
    assert {"all models", "still", "turning"} <= slices


def test_methods_stand_beside_maps_that_know_nothing(record):
    methods = {row.system for row in record.rows if row.slice == "all models"}
    assert {"integrated_gradients", "hires_cam", "hires_cam, by channel"} <= methods
    assert {"random_smooth", "centre", "limb", "brightness"} <= methods
    assert "integrated_gradients, re-initialised model" in methods
    row = next(r for r in record.rows if r.system == "integrated_gradients")
    assert row.metrics["mass"].low <= row.metrics["mass"].value <= row.metrics["mass"].high


def test_models_of_one_epoch_do_not_count_as_strong(record):
    assert [c.passed for c in record.claims] == [False, None, None]


def test_what_is_done_is_not_done_again_and_one_cell_can_be_redone(made, capsys):
    cells = {p: p.stat().st_mtime_ns for p in made.rglob("score/record.json")}
    assert len(cells) == 4
    lost = made / "still" / "seed_2" / "score"
    shutil.rmtree(lost)
    assert main(words(made.parent, "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    again = {p: p.stat().st_mtime_ns for p in made.rglob("score/record.json")}
    changed = {p for p in cells if again[p] != cells[p]}
    assert changed == {lost / "record.json"}
    assert told["target"] == "mean_ap_day2" and len(told["models"]) == 4


def test_the_page_shows_claims_scores_and_models(made, record):
    page = (made.parent / "explain_score.html").read_text()
    assert "SIMULATED" in page and not re.search(r"https?://", page)
    assert "0 of 3 lines drawn beforehand are met" in page
    for world in ("still", "turning"):
        assert f'<th scope="row">{world}</th>' in page
    assert page.count("<svg") == 3
    korean = render_score_page(record, "ko")
    assert "알려진 정답" in korean and "적분 기울기" in korean


def test_a_score_without_worlds_is_refused(tmp_path, capsys):
    assert main(words(tmp_path, "~explain.score.worlds")) == 2
    assert "simulated worlds with known truth" in capsys.readouterr().err


def test_a_score_without_seeds_is_refused(tmp_path, capsys):
    assert main(words(tmp_path, "explain.score.seeds=[]")) == 2
    assert "at least one seed, window and issue time" in capsys.readouterr().err


def forecast(mean, observed):
    n = len(mean)
    return Predictions(
        "x", np.arange(n) * DAY, np.log1p(mean), mean, observed, np.zeros(0),
        np.zeros((n, 24, 0)), np.full((n, 3, 3), np.nan), np.zeros(n, dtype=int),
    )  # fmt: skip


@pytest.mark.accuracy
def test_windows_are_the_highest_forecasts_apart_from_each_other():
    mean = np.tile(np.array([1, 9, 8, 2, 7, 3, 6, 5], float)[:, None], (1, 24))
    chosen = windows_of(forecast(mean, mean), range(8, 16), 3, 2.0)
    assert (chosen // DAY).tolist() == [1, 4, 6]


@pytest.mark.accuracy
def test_the_explained_share_is_of_the_days_mean_of_the_logarithm():
    draw = np.random.default_rng(0)
    seen = np.exp(draw.normal(2, 0.5, (50, 24)))
    good = forecast(seen.copy(), seen)
    assert explained_share(good, range(8, 16)) == pytest.approx(1.0)
    day = np.log1p(seen[:, 8:16]).mean(1)
    flat = replace(good, mean_log=np.full(seen.shape, day.mean()))
    assert explained_share(flat, range(8, 16)) == pytest.approx(0.0, abs=1e-9)
    gap = seen.copy()
    gap[0, 9] = np.nan
    assert explained_share(replace(good, observed=gap), range(8, 16)) == pytest.approx(1.0)


def test_a_model_knows_what_it_reached():
    assert ScoredModel(skill=0.4, achievable=0.5).reached == pytest.approx(0.8)
    assert ScoredModel(skill=0.4).reached == 0.0
    lower = ScoredModel(skill=0.4, floor=0.4, achievable=0.5, bound="floor")
    assert lower.reached == pytest.approx(1.0)
