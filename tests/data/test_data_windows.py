"""Windows: equal to a plain loop, and blind to everything not yet available."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heliosight.core.clock import DAY, HOUR, to_seconds
from heliosight.core.errors import SpecError
from heliosight.core.ports import WindowSource
from heliosight.core.seeding import numpy_stream
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import (
    BAD_FRAME,
    MISSING,
    OUT_OF_RANGE,
    UNOBSERVED,
    ImageTable,
    SeriesTable,
)
from heliosight.data.moments import moments
from heliosight.data.windows import Windows

START = to_seconds("2015-01-01")
STEP = 3 * HOUR
SPEC = ForecastSpec(
    {
        "images": ModalitySpec("images", "images", ("aia_193", "aia_211"), 5, 6, size=4),
        "wind": ModalitySpec("series", "solar_wind", ("speed", "bz_gsm"), 6, 3),
        "recurrence": ModalitySpec("series", "geomagnetic", ("ap",), 24, 3, 27 * 24 - 72),
        "holes": ModalitySpec("series", "coronal_holes", ("ch_area",), 3, 24),
    }
)


def world(days=40, seed=0, image_latency=0, holes=0.1, jitter=0):
    rng = numpy_stream(seed, "world")

    def some(name, cadence, names, latency=0):
        n = days * DAY // cadence
        times = START + cadence * np.arange(n)
        keep = rng.random(n) > holes
        keep[[0, -1]] = True
        flags = rng.choice([0, 0, 0, 0, MISSING, OUT_OF_RANGE], (n, len(names))).astype(np.uint8)
        values = rng.uniform(1, 100, flags.shape).astype(np.float32)
        values[flags == MISSING] = np.nan
        return SeriesTable(name, times[keep], cadence, names, values[keep], flags[keep], latency)

    n = days * 4
    times = START + 6 * HOUR * np.arange(n) + rng.integers(-jitter, jitter + 1, n)
    keep = rng.random(n) > holes
    keep[[0, -1]] = True
    shape = (n, 3, 4, 4)
    frames = rng.integers(1, 256, shape, dtype=np.uint8)
    flags = rng.choice([0, 0, 0, BAD_FRAME], shape[:2]).astype(np.uint8)
    channels = ("aia_193", "aia_211", "hmi_magnetogram")
    tables = [
        ImageTable("images", times[keep], 6 * HOUR, channels, frames[keep], flags[keep],
                   image_latency),
        some("solar_wind", STEP, ("density", "bz_gsm", "speed")),
        some("geomagnetic", STEP, ("kp", "ap")),
        some("coronal_holes", DAY, ("ch_area",), latency=-DAY),
    ]  # fmt: skip
    return {table.name: table for table in tables}


def slow_series(table, modality, issue):
    """From the definition: what a clerk would write down at the issue time."""
    lag, step = modality.lag_hours * HOUR, modality.cadence_hours * HOUR
    newest = START
    while newest + step + table.cadence + table.latency <= issue - lag:
        newest += step
    rows, seen = [], []
    for back in reversed(range(modality.steps)):
        stamp, row, ok = newest - back * step, [], []
        for name in modality.variables:
            at = np.flatnonzero(table.times == stamp)
            value = table.column(name)[at[0]] if len(at) else np.nan
            known = len(at) > 0 and stamp + table.cadence + table.latency <= issue
            good = known and not np.isnan(value)
            row.append(value if good else 0.0)
            ok.append(good)
        rows.append(row)
        seen.append(ok)
    return np.array(rows, np.float32), np.array(seen)


def slow_images(table, modality, issue, shift=0):
    step = modality.cadence_hours * HOUR
    known = [t for t in table.times if t + table.latency <= issue - modality.lag_hours * HOUR]
    slot = known[-1]
    while slot + step + table.latency <= issue - modality.lag_hours * HOUR:
        slot += step
    frames, seen = [], []
    for back in reversed(range(modality.steps)):
        want = slot - (back + shift) * step
        near = [i for i, t in enumerate(table.times) if abs(t - want) < table.cadence / 2]
        near = [i for i in near if table.available[i] <= issue]
        for name in modality.variables:
            c = table.variables.index(name)
            good = bool(near) and not table.flags[near[0], c] & UNOBSERVED
            frames.append(table.frames[near[0], c] if good else np.zeros((4, 4), np.uint8))
            seen.append(good)
    grid = (modality.steps, len(modality.variables))
    return (
        np.stack(frames).reshape(*grid, 4, 4).transpose(1, 0, 2, 3),
        np.array(seen).reshape(grid).T,
    )


@pytest.mark.accuracy
@pytest.mark.parametrize(("latency", "jitter"), [(0, 0), (HOUR, 0), (0, 900), (7 * HOUR, 600)])
def test_batches_equal_the_plain_loop(latency, jitter):
    tables = world(seed=latency + jitter, image_latency=latency, jitter=jitter)
    windows = Windows(tables, SPEC)
    issue = START + 28 * DAY + STEP * np.arange(0, 70, 3)
    shift = np.arange(len(issue)) % 3
    batch = windows.batch(issue, shift)
    for b, moment in enumerate(issue):
        for name, modality in SPEC.modalities.items():
            table = tables[modality.table]
            want, seen = (
                slow_images(table, modality, moment, shift[b])
                if modality.kind == "images"
                else slow_series(table, modality, moment)
            )
            assert (batch.observed[name][b].numpy() == seen).all(), name
            assert (batch.inputs[name][b].numpy() == want).all(), name


def test_kinds_shapes_and_the_port():
    windows = Windows(world(), SPEC)
    assert isinstance(windows, WindowSource) and windows.spec is SPEC
    batch = windows.batch(np.array([START + 30 * DAY, START + 31 * DAY]))
    assert batch.inputs["images"].shape == (2, 2, 5, 4, 4)
    assert batch.inputs["images"].dtype == torch.uint8
    assert batch.inputs["wind"].shape == (2, 6, 2) and batch.target.shape == (2, 24)
    assert batch.inputs["wind"].dtype == batch.target.dtype == torch.float32
    assert all(torch.isfinite(x.float()).all() for x in batch.inputs.values())
    assert torch.isfinite(batch.target).all() and batch.target_mask.dtype == torch.bool


def test_targets_are_the_leads_from_issue_time():
    tables = world()
    issue = START + 30 * DAY
    batch = Windows(tables, SPEC).batch(np.array([issue]))
    table = tables["geomagnetic"]
    for lead in range(24):
        at = np.flatnonzero(table.times == issue + lead * STEP)
        value = table.column("ap")[at[0]] if len(at) else np.nan
        assert bool(batch.target_mask[0, lead]) == (not np.isnan(value))
        assert batch.target[0, lead] == (0.0 if np.isnan(value) else value)


def test_recurrence_is_27_days_before_each_lead():
    times = Windows(world(), SPEC).times(START + 30 * DAY + STEP * np.arange(9))
    assert (times.valid - times.stamps["recurrence"] == 27 * DAY).all()


def test_a_window_knows_when_its_values_became_available():
    tables = world(holes=0.0)
    times = Windows(tables, SPEC).times(np.array([START + 30 * DAY]))
    assert times.available["wind"][0, -1] == START + 30 * DAY
    assert times.stamps["wind"][0, -1] == START + 30 * DAY - STEP
    assert times.available["images"][0, -1] == times.stamps["images"][0, -1] == START + 30 * DAY
    assert times.available["holes"][0, -1] == START + 30 * DAY
    assert times.valid[0, [0, -1]].tolist() == [START + 30 * DAY, START + 33 * DAY - STEP]


def changed_after(table, moment, rng):
    """The table with every value that was not available at `moment` replaced."""
    late = table.available > moment
    flags = table.flags.copy()
    flags[late] = rng.integers(0, 16, flags[late].shape)
    if isinstance(table, ImageTable):
        frames = table.frames.copy()
        frames[late] = rng.integers(0, 256, frames[late].shape)
        return replace(table, frames=frames, flags=flags)
    values = table.values.copy()
    values[late] = rng.normal(0, 1e6, values[late].shape)
    return replace(table, values=values, flags=flags)


def without_future(table, moment):
    keep = table.available <= moment
    cut = {"times": table.times[keep], "flags": table.flags[keep]}
    if isinstance(table, ImageTable):
        return replace(table, frames=table.frames[keep], **cut)
    return replace(table, values=table.values[keep], **cut)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 99),
    st.integers(0, 90),
    st.integers(-2 * STEP, 9 * HOUR),
    st.integers(0, 1200),
    st.integers(0, 3),
)
def test_nothing_later_than_the_issue_time_enters(seed, slot, latency, jitter, shift):
    tables = world(seed=seed, image_latency=max(latency, 0), jitter=jitter)
    tables["solar_wind"] = replace(tables["solar_wind"], latency=latency)
    issue = np.array([START + 28 * DAY + slot * STEP])
    back = np.array([shift])
    batch = Windows(tables, SPEC).batch(issue, back)
    rng = numpy_stream(seed, "future")
    futures = (
        {k: changed_after(t, issue[0], rng) for k, t in tables.items()},
        {k: without_future(t, issue[0]) for k, t in tables.items()},
    )
    for future in futures:
        other = Windows(future, SPEC).batch(issue, back)
        for name in SPEC.modalities:
            assert torch.equal(batch.inputs[name], other.inputs[name]), name
            assert torch.equal(batch.observed[name], other.observed[name]), name


def test_the_last_available_value_does_enter():
    """The property above would also hold of windows that ignore everything."""
    tables = world(holes=0.0)
    issue = np.array([START + 30 * DAY])
    for modality, spec in SPEC.modalities.items():
        if spec.lag_hours:
            continue
        table = tables[spec.table]
        key = "frames" if isinstance(table, ImageTable) else "values"
        values = np.nan_to_num(getattr(table, key))
        last = int(np.flatnonzero(table.available <= issue[0])[-1])
        moved = values.copy()
        moved[last] = values[last] // 2 + 1
        batches = []
        for content in (values, moved):
            clean = replace(table, flags=np.zeros_like(table.flags), **{key: content})
            batches.append(Windows({**tables, spec.table: clean}, SPEC).batch(issue))
        first, second = (batch.inputs[modality] for batch in batches)
        assert not torch.equal(first, second), modality


def test_shift_moves_frames_only_into_the_past():
    tables = world(holes=0.0)
    tables["images"] = replace(tables["images"], flags=np.zeros_like(tables["images"].flags))
    windows = Windows(tables, SPEC)
    issue = np.array([START + 30 * DAY])
    plain, moved = windows.batch(issue), windows.batch(issue, np.array([2]))
    assert torch.equal(plain.inputs["images"][:, :, :-2], moved.inputs["images"][:, :, 2:])
    assert torch.equal(plain.inputs["wind"], moved.inputs["wind"])
    with pytest.raises(SpecError, match=r"image_shift is .*would show the future"):
        windows.batch(issue, np.array([-1]))
    with pytest.raises(SpecError, match="image_shift is"):
        windows.batch(issue, np.array([1, 1]))
    with pytest.raises(SpecError, match="smallest -1"):
        windows.batch(np.array([issue[0], issue[0]]), np.array([0, -1]))


def test_old_newest_frame_leaves_the_newest_slots_unobserved():
    tables = world(holes=0.0)
    image = tables["images"]
    cut = image.times <= START + 29 * DAY
    tables["images"] = replace(
        image, times=image.times[cut], frames=image.frames[cut], flags=0 * image.flags[cut]
    )
    batch = Windows(tables, SPEC).batch(np.array([START + 29 * DAY + 12 * HOUR]))
    assert batch.observed["images"][0, 0].tolist() == [True, True, True, False, False]


def test_issue_times_have_history_and_targets():
    tables = world(holes=0.0)
    table = tables["geomagnetic"]
    tables["geomagnetic"] = replace(
        table, flags=0 * table.flags, values=np.nan_to_num(table.values)
    )
    windows = Windows(tables, SPEC)
    times = windows.issue_times(START - DAY, START + 60 * DAY)
    # the recurrence's oldest stamp is 27 days back, the last target ends with the table
    assert times[0] == START + 27 * DAY and times[-1] == START + 37 * DAY
    assert (np.diff(times) == STEP).all()
    six = windows.issue_times(START + 28 * DAY + HOUR, START + 29 * DAY, stride_hours=6)
    assert six.tolist() == [START + 28 * DAY + h * HOUR for h in (6, 12, 18)]
    future = windows.issue_times(START, START + 39 * DAY, complete_target=False)
    assert future[-1] == START + 39 * DAY - STEP
    seen = windows.issue_times(START, START + 60 * DAY, min_observed=0.8)
    share = {n: windows.batch(times).observed[n].float().mean(tuple(
        range(1, windows.batch(times).observed[n].ndim))) for n in SPEC.modalities}  # fmt: skip
    enough = torch.stack(list(share.values())).min(0).values >= 0.8 - 1e-6
    assert seen.tolist() == times[enough.numpy()].tolist() and 0 < len(seen) < len(times)


def test_batch_is_independent_of_its_company():
    windows = Windows(world(), SPEC)
    issue = START + 28 * DAY + STEP * np.arange(8)
    whole = windows.batch(issue)
    for i in range(8):
        alone = windows.batch(issue[i : i + 1])
        assert torch.equal(alone.inputs["images"][0], whole.inputs["images"][i])


def with_modality(**changes):
    base = {"kind": "series", "table": "solar_wind", "variables": ("speed",), "steps": 6,
            "cadence_hours": 3} | changes  # fmt: skip
    return ForecastSpec({"m": ModalitySpec(**base)})


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        (with_modality(table="wind"), "modality m.*has the table.*'wind'.*solar_wind"),
        (with_modality(variables=("vx",)), "variables a modality asks for.*'vx'.*density"),
        (with_modality(kind="images"), "modality's kind is its table's.*images of a SeriesTable"),
        (with_modality(cadence_hours=6), "has its table's cadence.*6 h against 3 h"),
        (with_modality(kind="images", table="images", variables=("aia_193",), cadence_hours=4),
         "multiple of its table's.*4 h against 6 h"),
        (with_modality(kind="images", table="images", variables=("aia_193",), cadence_hours=6),
         "size the modality asks for.*against 64 pixels"),
        (ForecastSpec(target_table="indices"), "modality target.*has the table"),
        (ForecastSpec(target="dst"), "target.*'dst' of table geomagnetic"),
    ],
)  # fmt: skip
def test_a_spec_that_does_not_fit_the_tables_is_refused(spec, match):
    with pytest.raises(SpecError, match=match):
        Windows(world(days=3), spec)


def test_stamps_off_the_grid_and_empty_tables_are_refused():
    tables = world(days=3)
    table = tables["solar_wind"]
    times = table.times.copy()
    times[3] += 60
    with pytest.raises(SpecError, match=r"stamps lie on one grid.*1 stamps"):
        Windows({**tables, "solar_wind": replace(table, times=times)}, SPEC)
    empty = replace(table, times=times[:0], values=table.values[:0], flags=table.flags[:0])
    with pytest.raises(SpecError, match="window's table has rows"):
        Windows({**tables, "solar_wind": empty}, SPEC)


def test_a_window_longer_than_its_store_is_refused():
    tables = world(days=30)
    held = tables["images"].times[-1] - tables["images"].times[0]
    steps = int(held // (6 * HOUR)) + 3
    long = ModalitySpec("images", "images", tables["images"].variables[:1], steps, 6, size=4)
    windows = Windows(tables, ForecastSpec({"images": long}))
    with pytest.raises(SpecError, match=rf"no longer than its store.*{steps} steps over .* images"):
        windows.issue_times(START, START + 60 * DAY)
    fits = Windows(tables, ForecastSpec({"images": replace(long, steps=4)}))
    assert len(fits.issue_times(START + 10 * DAY, START + 20 * DAY, complete_target=False))
    assert not len(fits.issue_times(START - 9 * DAY, START - 8 * DAY))  # only outside the data


def test_an_issue_time_off_the_lead_grid_is_refused():
    with pytest.raises(SpecError, match=r"multiple of 3 h.*2015-01-01T01:00"):
        Windows(world(days=3), SPEC).batch(np.array([START + HOUR]))
    with pytest.raises(SpecError, match=r"multiple of 3 h.*2015-01-01T01:00"):
        Windows(world(days=3), SPEC).batch(np.array([START, START + HOUR]))


@pytest.mark.accuracy
@pytest.mark.parametrize("seed", range(3))
def test_moments_equal_the_window_loop(seed):
    tables = world(seed=seed, jitter=600 * seed)
    windows = Windows(tables, SPEC)
    issue = START + 25 * DAY + STEP * np.arange(40)
    fast = moments(windows, issue)
    for name in SPEC.modalities:
        batch = windows.batch(issue)
        x, seen = batch.inputs[name].double(), batch.observed[name]
        axis = 1 if name == "images" else 2
        for i in range(x.shape[axis]):
            values = x.select(axis, i)[seen.select(axis, i)]
            assert fast[name].mean[i] == pytest.approx(values.mean().item(), rel=1e-12)
            centre = values.mean(0) if name == "images" else values.mean()
            if name == "images":
                assert np.allclose(fast[name].frame[i], centre, rtol=1e-6)
            std = ((values - centre) ** 2).mean().sqrt().item()
            assert fast[name].std[i] == pytest.approx(std, rel=1e-12)


def test_moments_of_constant_and_never_observed_variables():
    tables = world()
    wind = tables["solar_wind"]
    values, flags = np.full_like(wind.values, 7.0), np.zeros_like(wind.flags)
    flags[:, wind.variables.index("bz_gsm")] = MISSING
    tables["solar_wind"] = replace(wind, values=values, flags=flags)
    images = tables["images"]
    tables["images"] = replace(images, flags=np.full_like(images.flags, BAD_FRAME))
    found = moments(Windows(tables, SPEC), START + 28 * DAY + STEP * np.arange(5))
    assert found["wind"].mean == (7.0, 0.0) and found["wind"].std == (1.0, 1.0)
    assert found["images"].mean == (0.0, 0.0) and found["images"].std == (1.0, 1.0)


def test_moments_see_the_given_span_alone():
    tables = world(holes=0.0)
    windows = Windows(tables, SPEC)
    issue = START + 28 * DAY + STEP * np.arange(9)
    rng = numpy_stream(5, "later")
    later = {k: changed_after(t, issue[-1], rng) for k, t in tables.items()}
    assert moments(windows, issue) == moments(Windows(later, SPEC), issue)


@pytest.mark.parametrize("steps", [7, 8])
def test_a_window_exactly_as_long_as_its_table_is_not_refused(steps):
    """Seven stamps hold seven steps; without a complete target there is no time all the same."""
    times, flags = START + STEP * np.arange(7), np.zeros((7, 1), np.uint8)
    values = np.ones((7, 1), np.float32)
    tables = {
        name: SeriesTable(name, times, STEP, (variable,), values, flags, 0)
        for name, variable in (("solar_wind", "speed"), ("geomagnetic", "ap"))
    }
    spec = ForecastSpec({"wind": ModalitySpec("series", "solar_wind", ("speed",), steps, 3)})
    windows = Windows(tables, spec)
    if steps == 7:
        assert len(windows.issue_times(START, START + DAY)) == 0
    else:
        with pytest.raises(SpecError, match="a window is no longer than its store"):
            windows.issue_times(START, START + DAY)


def late_by(hours, steps=5):
    """Windows over five frames, the first some hours after its slot, without all targets."""
    times = START + HOUR * np.array([0, 6, 12, 18, 24])
    times[0] += round(hours * HOUR)
    flags, known = np.zeros((5, 1), np.uint8), START + STEP * np.arange(7)
    frames = np.ones((5, 1, 4, 4), np.uint8)
    tables = {
        "images": ImageTable("images", times, 6 * HOUR, ("aia_193",), frames, flags, 0),
        "geomagnetic": SeriesTable(
            "geomagnetic", known, STEP, ("ap",), np.ones((7, 1), np.float32),
            np.zeros((7, 1), np.uint8), 0,
        ),
    }  # fmt: skip
    images = ModalitySpec("images", "images", ("aia_193",), steps, 6, size=4)
    return Windows(tables, ForecastSpec({"images": images}))


@pytest.mark.parametrize(("hours", "found"), [(2.4, [24, 27]), (3, [])])
def test_a_first_frame_stands_for_a_slot_less_than_half_a_cadence_before_it(hours, found):
    times = late_by(hours).issue_times(START, START + 30 * HOUR, complete_target=False)
    assert ((times - START) // HOUR).tolist() == found


@pytest.mark.parametrize("hours", [2.4, 3])
def test_a_window_half_a_cadence_longer_than_its_frames_is_not_refused(hours):
    assert not len(late_by(hours).issue_times(START, START + 30 * HOUR))
    with pytest.raises(SpecError, match="a window is no longer than its store"):
        late_by(3.1).issue_times(START, START + 30 * HOUR)


def test_a_window_that_runs_on_past_its_frames_is_not_refused_for_those_that_begin_too_early():
    times = late_by(0, steps=8).issue_times(START, START + 60 * HOUR, complete_target=False)
    assert times[0] == START + 42 * HOUR and times[-1] == START + 57 * HOUR
    assert not len(late_by(0, steps=8).issue_times(START, START))  # no time was asked about


def test_a_place_without_a_row_was_never_known():
    tables = world(holes=0.0)
    wind = tables["solar_wind"]
    gone = wind.times == START + 30 * DAY - 2 * STEP
    tables["solar_wind"] = replace(
        wind, times=wind.times[~gone], values=wind.values[~gone], flags=wind.flags[~gone]
    )
    times = Windows(tables, SPEC).times(np.array([START + 30 * DAY]))
    assert times.available["wind"][0, -2] == -1
    assert (np.delete(times.available["wind"][0], -2) > START).all()
