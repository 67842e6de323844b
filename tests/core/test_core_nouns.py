from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heliosight.core import clock, geomagnetic, progress, seeding
from heliosight.core.batch import Batch
from heliosight.core.errors import DataError, SpecError
from heliosight.core.folds import Fold
from heliosight.core.predictions import Predictions
from heliosight.core.progress import bar, track
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import ImageTable, SeriesTable
from heliosight.core.variables import VARIABLES, variable


@given(st.integers(min_value=-2_000_000_000, max_value=4_000_000_000))
def test_time_survives_its_text(seconds):
    assert clock.to_seconds(clock.to_text(seconds)) == seconds


def test_a_text_without_zone_is_utc():
    assert clock.to_seconds("2015-03-17 04:45:00") == clock.to_seconds("2015-03-17T04:45:00Z")
    assert clock.to_seconds("2015-03-17T13:45:00+09:00") == clock.to_seconds("2015-03-17T04:45:00")
    stamps = np.array(["2015-03-17T04:45"], dtype="datetime64[ns]")
    assert clock.to_datetime64(clock.from_datetime64(stamps)) == stamps
    assert clock.to_text(clock.year_start(2012)) == "2012-01-01T00:00:00Z"


def test_kp_and_ap_follow_the_published_table():
    assert geomagnetic.KP_NAMES[:5] == ("0o", "0+", "1-", "1o", "1+")
    assert geomagnetic.KP_NAMES[-1] == "9o"
    kp = geomagnetic.KP_LEVELS
    assert np.array_equal(geomagnetic.ap_of_kp(kp), geomagnetic.AP_LEVELS)
    assert np.allclose(geomagnetic.kp_of_ap(geomagnetic.AP_LEVELS), kp)
    assert geomagnetic.ap_of_kp(np.array([2.667])) == 12
    assert np.isnan(geomagnetic.kp_of_ap(np.array([np.nan])))[0]
    for storm, name in geomagnetic.STORM_KP.items():
        level = geomagnetic.AP_LEVELS[geomagnetic.KP_NAMES.index(name)]
        assert level == geomagnetic.STORM_AP[storm]


@given(st.floats(min_value=0, max_value=400))
def test_snapping_finds_the_nearest_level(ap):
    gaps = np.abs(np.log1p(geomagnetic.AP_LEVELS) - np.log1p(ap))
    found = geomagnetic.snap_ap(np.array([ap]))[0]
    assert np.isclose(np.abs(np.log1p(found) - np.log1p(ap)), gaps.min())


def test_a_storm_threshold_lies_between_levels():
    assert geomagnetic.storm_threshold("G1") == 35.5
    assert geomagnetic.storm_threshold("G5") == 350


def test_streams_are_named_and_repeatable():
    one = seeding.numpy_stream(1, "wind").random(3)
    assert np.array_equal(one, seeding.numpy_stream(1, "wind").random(3))
    assert not np.array_equal(one, seeding.numpy_stream(1, "images").random(3))
    assert seeding.torch_stream(1, "a").initial_seed() == seeding.stream_seed(1, "a")


def test_an_unknown_variable_is_refused():
    assert variable("speed").label == "solar wind speed [km s-1]"
    assert VARIABLES["kp"].label == "Kp"
    with pytest.raises(DataError, match="a variable must be in the vocabulary"):
        variable("sped")


def batch(n=3):
    return Batch(
        {"solar_wind": torch.arange(n * 4.0).reshape(n, 2, 2)},
        {"solar_wind": torch.ones(n, 2, 2, dtype=torch.bool)},
        torch.arange(n),
        torch.zeros(n, 24),
        torch.ones(n, 24, dtype=torch.bool),
    )


def test_a_batch_selects_joins_and_replaces():
    full = batch(4)
    joined = Batch.join([full.select(slice(0, 1)), full.select([1, 2, 3])])
    assert len(joined) == 4
    assert torch.equal(joined.inputs["solar_wind"], full.inputs["solar_wind"])
    changed = full.with_inputs({"solar_wind": torch.zeros(4, 2, 2)})
    assert changed.inputs["solar_wind"].sum() == 0
    assert full.inputs["solar_wind"].sum() > 0
    double = full.to("cpu", torch.float64)
    assert double.inputs["solar_wind"].dtype == torch.float64
    assert double.issue_time.dtype == torch.int64
    assert full.to("cpu").target.dtype == torch.float32
    with pytest.raises(SpecError, match="joining needs at least one batch"):
        Batch.join([])


def test_a_specification_names_every_mismatch():
    wind = ModalitySpec("series", "solar_wind", ("speed",), 56, 3)
    ours = ForecastSpec({"wind": wind})
    theirs = ForecastSpec({"images": wind}, leads=8)
    ours.require_equal(ours)
    with pytest.raises(SpecError, match=r"leads: 24 against 8; modality images.*modality wind"):
        ours.require_equal(theirs)


def test_a_fold_runs_forward():
    with pytest.raises(SpecError, match="train, validation and test follow each other"):
        Fold("x", (0, 10), (5, 20), (30, 40), 34)


def series(times, values=None, **changes):
    times = np.asarray(times)
    values = np.zeros((len(times), 1), np.float32) if values is None else values
    flags = changes.pop("flags", np.zeros(values.shape, np.uint8))
    return SeriesTable("t", times, 3600, ("speed",), values, flags, **changes)


def test_a_series_table_knows_what_is_available_when():
    table = series([0, 3600], latency=60)
    assert table.available.tolist() == [3660, 7260]
    flagged = series([0], np.array([[5.0]]), flags=np.array([[2]], np.uint8))
    assert np.isnan(flagged.column("speed"))[0]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: series([3600, 0]), "times rise strictly"),
        (lambda: series([0, 0]), "times rise strictly"),
        (lambda: series([0], np.zeros((2, 1))), r"values and flags are \(times, variables\)"),
        (
            lambda: SeriesTable(
                "t", np.array([0]), 0, ("speed",), np.zeros((1, 1)), np.zeros((1, 1))
            ),
            "a cadence is positive",
        ),
        (lambda: series([0]).column("ap"), "a table has the variable asked for"),
        (
            lambda: ImageTable(
                "i", np.array([0]), 6, ("aia_193",), np.zeros((1, 1, 4, 4)), np.zeros((1, 1))
            ),
            "frames are uint8",
        ),
    ],
)
def test_a_table_out_of_shape_is_refused(make, match):
    with pytest.raises(DataError, match=match):
        make()


def test_a_frame_is_known_when_taken_plus_latency():
    frames = np.zeros((2, 1, 4, 4), np.uint8)
    table = ImageTable("i", np.array([0, 6]), 6, ("aia_193",), frames, np.zeros((2, 1)), 3)
    assert table.available.tolist() == [3, 9]


def test_predictions_share_their_rows():
    n, leads = 2, 24
    full = np.zeros((n, leads))
    args = (np.arange(n), full, full, full, np.array([0.5]), np.zeros((n, leads, 1)))
    rows = Predictions("x", *args, np.zeros((n, 3, 3)), np.zeros(n, int))
    assert set(rows.arrays()) >= {"mean", "observed", "fold"}
    with pytest.raises(SpecError, match=r"must share their rows.*fold \(3,\) instead of \(2,\)"):
        Predictions("x", *args, np.zeros((n, 3, 3)), np.zeros(3, int))


def loud(monkeypatch, seconds):
    """Progress that is told, on a clock that moves `seconds` at every look."""
    monkeypatch.delenv("HELIOSIGHT_QUIET")
    clock = count(0.0, seconds)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))


def test_progress_is_silent_where_nobody_looks(monkeypatch, capsys):
    assert list(track(range(3), "quiet", 3)) == [0, 1, 2]
    loud(monkeypatch, 0.1)
    assert list(track(range(3), "short", 3)) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_progress_in_a_log_is_a_line_now_and_then(monkeypatch, capsys):
    loud(monkeypatch, 20.0)
    with bar("loud work", 4) as running:
        for k in range(4):
            running.advance(note=f"loss {k}")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split() for line in lines] == [
        ["loud", "work", "2/4", "0.05/s", "left", "0:00:40", "loss", "1"],
        ["loud", "work", "4/4", "0.04/s", "left", "0:00:00", "loss", "3"],
    ]


def test_a_worker_writes_lines_on_a_terminal_that_another_process_draws_on(monkeypatch, capsys):
    loud(monkeypatch, 20.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(progress, "parent_process", lambda: object())
    list(track(range(2), "work", 2))
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("work") and not any("\x1b" in line for line in lines)


def test_progress_on_a_terminal_is_a_bar_with_rate_and_time_left(monkeypatch, capsys):
    monkeypatch.delenv("HELIOSIGHT_QUIET")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with bar("loud work", 2) as running:
        running.advance(note="loss 0.5")
        running.advance()
    shown = capsys.readouterr().err
    assert "loud work" in shown and "2/2" in shown and "loss 0.5" in shown
