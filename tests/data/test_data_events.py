"""Event files and lists: overlapping files become one continuous axis without duplicates."""

import h5py
import numpy as np
import pytest

from heliosight.core.clock import DAY, HOUR, to_seconds, to_text
from heliosight.core.errors import DataError
from heliosight.core.seeding import numpy_stream
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import BAD_FRAME, MISSING
from heliosight.data.event_list import (
    EventList,
    listed_without_window,
    read_event_list,
    share_near_training,
)
from heliosight.data.events import OMNI_NAMES, read_events
from heliosight.data.omni2 import FILLS
from heliosight.data.store import load_store, save_store
from heliosight.data.windows import Windows

ISSUE = to_seconds("2015-03-10T12:00Z")
CHANNELS = ("aia_193", "aia_211", "hmi_magnetogram")


def truth(seed=3, size=16):
    """Continuous series and frames every event is cut from, from 20 days before to 20 after."""
    rng = numpy_stream(seed, "truth")
    series = {name: np.round(rng.uniform(1, 90, 320), 1) for name in OMNI_NAMES}
    series["plasma_flow_speed_km_s"] += 300
    series["kp_index"] = rng.choice([0, 3, 7, 10, 13, 17, 20, 57, 90], 320).astype(float)
    frames = rng.integers(60, 200, (160, 3, size, size), dtype=np.uint8)
    return series, frames


def write_event(folder, issue, content=None, axis=True, drop=(), attrs=None, **extra):
    series, frames = content or truth()
    start, end = issue - 7 * DAY, issue + 3 * DAY
    first = (start - (ISSUE - 20 * DAY)) // (3 * HOUR)
    path = folder / f"{to_text(issue)[:13].replace('-', '').replace('T', '')}.h5"
    with h5py.File(path, "w") as file:
        for name, values in series.items():
            file[f"omni/{name}"] = values[first : first + 80]
        for c, name in enumerate(CHANNELS):
            cut = frames[first // 2 : first // 2 + 28, c]
            file[f"sdo/{name}"] = cut[:, None] if axis else cut
        for name in drop:
            del file[name]
        for name, values in extra.items():
            file[name.replace("__", "/")] = values
        times = {"t_start": start, "t_target": issue, "t_end": end}
        for name, value in {**{k: to_text(v) for k, v in times.items()}, **(attrs or {})}.items():
            if value is not None:
                file.attrs[name] = value
    return path


def test_overlapping_events_become_one_axis(tmp_path):
    series, frames = truth()
    issues = [ISSUE, ISSUE + 6 * HOUR, ISSUE + 2 * DAY]
    events = read_events(write_event(tmp_path, t, axis=i % 2 == 0) for i, t in enumerate(issues))
    wind, index, images = (events.tables[n] for n in ("solar_wind", "geomagnetic", "images"))
    assert events.conflicts == () and events.issue_times.tolist() == issues
    assert (np.diff(wind.times) == 3 * HOUR).all() and len(wind.times) == 80 + 16
    assert (np.diff(images.times) == 6 * HOUR).all() and len(images.times) == 28 + 8
    first = 13 * 8
    for name, ours in OMNI_NAMES.items():
        table = index if ours in ("kp", "ap") else wind
        want = series[name][first : first + 96]
        want = np.rint(want * 0.3) / 3 if ours == "kp" else want
        assert table.values[:, table.variables.index(ours)] == pytest.approx(want, abs=1e-4)
    assert (images.frames == frames[first // 2 : first // 2 + 36]).all()
    assert images.variables == CHANNELS


def test_overlapping_events_share_their_frames_on_disk(tmp_path):
    (tmp_path / "events").mkdir()
    issues = [ISSUE + k * 6 * HOUR for k in range(12)]
    paths = [write_event(tmp_path / "events", issue) for issue in issues]
    save_store(tmp_path / "store", read_events(paths).tables, "events")
    on_disk = (tmp_path / "store" / "images" / "frames.npy").stat().st_size
    distinct = 28 + 11  # each event adds one frame to the 27 it shares with the one before
    assert on_disk == 128 + distinct * 3 * 16 * 16
    assert on_disk < 12 * 28 * 3 * 16 * 16 / 8
    frames = load_store(tmp_path / "store").tables["images"].frames
    assert isinstance(frames, np.memmap) and len(frames) == distinct


def test_windows_of_the_events_are_the_files(tmp_path):
    series, frames = truth()
    events = read_events([write_event(tmp_path, ISSUE), write_event(tmp_path, ISSUE + DAY)])
    spec = ForecastSpec(
        {
            "images": ModalitySpec("images", "images", CHANNELS, 28, 6, 6, size=16),
            "wind": ModalitySpec("series", "solar_wind", ("speed",), 56, 3),
        }
    )
    batch = Windows(events.tables, spec).batch(np.array([ISSUE + DAY]))
    first = 14 * 8
    speed = series["plasma_flow_speed_km_s"][first : first + 56]
    assert batch.inputs["wind"][0, :, 0].numpy() == pytest.approx(speed, abs=1e-3)
    ap = series["ap_index_nt"][first + 56 : first + 80]
    assert batch.target[0].numpy() == pytest.approx(ap, abs=1e-4)
    # the file's 28 frames run from T - 7 d to T - 6 h: hence the lag of 6 h in the specification
    assert batch.observed["images"].all()
    assert (batch.inputs["images"][0, 0].numpy() == frames[first // 2 : first // 2 + 28, 0]).all()


def test_contradictions_are_reported_and_the_first_is_kept(tmp_path):
    series, frames = truth()
    other = {k: v.copy() for k, v in series.items()}, frames.copy()
    at = 15 * 8
    other[0]["dst_index_nt"][at] += 5
    other[1][at // 2, 0, 2, 2] += 1
    a = write_event(tmp_path, ISSUE)
    b = write_event(tmp_path, ISSUE + DAY, other)
    events = read_events([a, b])
    stamp = ISSUE - 20 * DAY + at * 3 * HOUR
    assert len(events.conflicts) == 2
    assert f"dst at {to_text(stamp)}" in events.conflicts[0] and b.name in events.conflicts[0]
    assert "aia_193" in events.conflicts[1]
    table = events.tables["solar_wind"]
    row = np.flatnonzero(table.times == stamp)[0]
    assert table.column("dst")[row] == pytest.approx(series["dst_index_nt"][at])


def test_fills_nans_and_black_frames_are_flags(tmp_path):
    series, frames = truth()
    series["bz_gsm_nt"][13 * 8 + 2] = 999.9
    series["proton_temperature_k"][13 * 8 + 3] = np.nan
    series["sunspot_number_r"][:] = 999
    frames[13 * 4 + 5, 1] = 0
    events = read_events([write_event(tmp_path, ISSUE, (series, frames))])
    wind, images = events.tables["solar_wind"], events.tables["images"]
    assert np.flatnonzero(wind.flags[:, wind.variables.index("bz_gsm")] & MISSING).tolist() == [2]
    temperature = wind.flags[:, wind.variables.index("temperature")]
    assert np.flatnonzero(temperature & MISSING).tolist() == [3]
    assert (wind.flags[:, wind.variables.index("sunspot_number")] == MISSING).all()
    assert images.flags[5, 1] & BAD_FRAME


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8", "f4 as f8"])
def test_every_fill_in_every_type_becomes_a_hole(tmp_path, dtype):
    names = [name for name in FILLS if FILLS[name]]
    columns = {}
    for name in names:
        values = np.full(80, 0.5, dtype=dtype[:3].strip())
        with np.errstate(over="ignore"):
            values[: len(FILLS[name])] = FILLS[name]
        columns[f"omni__{name}"] = values.astype("f8") if " " in dtype else values
    path = write_event(tmp_path, ISSUE, drop=("omni",), **columns)
    tables = read_events([path]).tables
    for name in names:
        table = tables["geomagnetic" if name in ("kp", "ap") else "solar_wind"]
        i = table.variables.index(name)
        holes = np.arange(80) < len(FILLS[name])
        assert (np.isnan(table.values[:, i]) == holes).all(), name
        assert ((table.flags[:, i] & MISSING > 0) == holes).all(), name


def test_whole_numbers_have_their_fills_too(tmp_path):
    values = np.full(80, 12, np.int16)
    values[4] = 999
    path = write_event(tmp_path, ISSUE, drop=("omni",), omni__ap=values, omni__dst=values)
    tables = read_events([path]).tables
    assert np.flatnonzero(np.isnan(tables["geomagnetic"].values[:, 0])).tolist() == [4]
    # 999 is no fill of Dst, nor is 999 the fill 999.9 of another variable cut to a whole number
    assert not np.isnan(tables["solar_wind"].values[:, 0]).any()


def test_a_hole_is_filled_by_the_file_that_has_the_value(tmp_path):
    series, frames = truth()
    holed = {k: v.copy() for k, v in series.items()}, frames
    holed[0]["bz_gsm_nt"][15 * 8] = 999.9
    paths = write_event(tmp_path, ISSUE, holed), write_event(tmp_path, ISSUE + DAY)
    events = read_events(paths)
    assert not np.isnan(events.tables["solar_wind"].column("bz_gsm")).any()
    assert events.conflicts == ()


def test_a_channel_that_only_some_files_have_is_a_hole(tmp_path):
    paths = [
        write_event(tmp_path, ISSUE, drop=("sdo/aia_211",)),
        write_event(tmp_path, ISSUE + DAY),
    ]
    images = read_events(paths).tables["images"]
    assert (images.flags[:4, 1] == MISSING).all() and not (images.flags[4:, 1] & MISSING).any()


def test_seconds_as_attributes_and_groups_alone(tmp_path):
    attrs = {
        "t_start": ISSUE - 7 * DAY,
        "t_target": ISSUE,
        "t_end": np.bytes_(to_text(ISSUE + 3 * DAY)),
    }
    path = write_event(tmp_path, ISSUE, attrs=attrs, drop=("sdo",))
    assert set(read_events([path]).tables) == {"solar_wind", "geomagnetic"}
    path = write_event(tmp_path, ISSUE, drop=("omni",))
    assert set(read_events([path]).tables) == {"images"}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"attrs": {"t_target": None}}, "attribute t_target is an ISO 8601.*None"),
        ({"attrs": {"t_start": "soon"}}, "attribute t_start.*'soon'"),
        ({"attrs": {"t_start": to_text(ISSUE + DAY)}}, "before t_target"),
        ({"attrs": {"t_start": to_text(ISSUE - 7 * DAY + 60)}}, "3-hour grid"),
        ({"drop": ("omni", "sdo")}, "a group omni or sdo"),
        ({"attrs": {"t_start": np.bytes_(b"\xff")}}, "attribute t_start.*xff"),
        ({"attrs": {"t_end": np.inf}}, "attribute t_end.*inf"),
        ({"drop": ("omni",), "omni": np.zeros(80)}, "omni is a group of datasets.*Found: dataset"),
        ({"drop": ("sdo",), "sdo": np.zeros(80)}, "sdo is a group of datasets.*Found: dataset"),
        ({"omni__speed__x": np.zeros(80)}, "omni/speed.*datasets alone.*'speed' is a group"),
        ({"omni__speed": h5py.SoftLink("/gone")}, "datasets alone.*'speed' is a broken link"),
        ({"drop": ("sdo/aia_193",), "sdo__aia_193__x": np.zeros(8)}, "aia_193' is a group"),
        ({"omni__bt_parker": np.zeros(80)}, "omni/bt_parker.*variable is known"),
        ({"omni__speed": np.zeros(40)}, r"omni/speed.*is \(80,\) numbers.*float64 \(40,\).*trunc"),
        ({"omni__speed": np.zeros((80, 2))}, r"omni/speed.*\(80, 2\)"),
        ({"omni__speed": np.full(80, b"x")}, "omni/speed.*S1"),
        ({"sdo__aia_94": np.zeros((28, 8, 8), np.uint8)}, "sdo/aia_94.*channel is known"),
        ({"drop": ("sdo/aia_193",), "sdo__aia_193": np.zeros((28, 16, 16))}, "aia_193.*float64"),
        ({"drop": ("sdo/aia_193",), "sdo__aia_193": np.zeros((28, 8), np.uint8)}, r"\(28, 8\)"),
        ({"drop": ("sdo/aia_193",), "sdo__aia_193": np.zeros((28, 9, 9), np.uint8)}, "one size"),
    ],
)  # fmt: skip
def test_bad_event_files_are_refused(tmp_path, change, match):
    with pytest.raises(DataError, match=f"(?s){match}"):
        read_events([write_event(tmp_path, ISSUE, **change)])


def test_broken_files_and_double_events_are_refused(tmp_path):
    path = write_event(tmp_path, ISSUE)
    twin = tmp_path / "twin.h5"
    twin.write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"twin.h5.*own issue time.*2015-03-10T12.*also in"):
        read_events([path, twin])
    for content in (path.read_bytes()[:3000], b"no hdf5"):
        twin.write_bytes(content)
        with pytest.raises(DataError, match=r"twin.h5.*whole HDF5"):
            read_events([twin])
    with pytest.raises(DataError, match="at least one event file"):
        read_events([])
    with pytest.raises(DataError, match="existing file"):
        read_events([tmp_path / "absent.h5"])


def csv(tmp_path, text):
    path = tmp_path / "events.csv"
    path.write_text(text)
    return path


def test_a_list_of_issue_times(tmp_path):
    events = read_event_list(csv(tmp_path, "time,class,split\n2015-01-01T00:00:00Z,positive,test\n"
                                           "2015-01-01T06:00:00Z,negative,train\n"))  # fmt: skip
    assert events.times.tolist() == [to_seconds("2015-01-01"), to_seconds("2015-01-01T06:00")]
    assert events.storm.tolist() == [[True], [False]] and events.split == ("test", "train")
    assert np.isnan(events.max_ap).all()


def test_a_list_of_files_with_daily_maxima(tmp_path):
    head = "file_name,max_day_1,max_day_2,max_day_3,class_day_1,class_day_2,class_day_3\n"
    events = read_event_list(csv(tmp_path, head + "2015010106.h5,12.0,48,300,0,1,1.0\n"))
    assert events.times.tolist() == [to_seconds("2015-01-01T06:00")]
    assert events.storm.tolist() == [[False, True, True]] and events.max_ap[0, 2] == 300
    with pytest.raises(DataError, match=r"line is file_name.*'x.h5,1,2,3,0,0,0' at line 2"):
        read_event_list(csv(tmp_path, head + "x.h5,1,2,3,0,0,0\n"))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("when,class\n", "header is time,class,split or file_name"),
        ("time,class,split\n2015-01-01,maybe,train\n", "line is time.*maybe.*line 2"),
        ("time,class,split\n2015-01-01,positive\n", "line is time.*truncated"),
        ("time,class,split\n2015-01-01,1,a\n2015-01-01,1,a\n", "duplicated time.*line 3"),
    ],
)
def test_bad_lists_are_refused(tmp_path, text, match):
    with pytest.raises(DataError, match=match):
        read_event_list(csv(tmp_path, text))


def test_listed_times_without_a_window(tmp_path):
    text = "".join(f"{to_text(ISSUE + d * DAY)},1,test\n" for d in range(3))
    entries = read_event_list(csv(tmp_path, f"time,class,split\n{text}"))
    events = read_events([write_event(tmp_path, ISSUE + d * DAY) for d in (1, 5)])
    assert listed_without_window(events, entries).tolist() == [ISSUE, ISSUE + 2 * DAY]


@pytest.mark.parametrize("seed", range(5))
def test_a_split_leaks_where_test_events_lie_near_training_ones(seed):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.choice(3000, 60, replace=False)) * DAY
    split = tuple(rng.choice(["train", "test"], 60))
    entries = EventList(times, np.zeros((60, 1), bool), split, np.full((60, 1), np.nan))
    train = [t for t, s in zip(times, split, strict=True) if s == "train"]
    near = [
        min(abs(t - other) for other in train) <= 10 * DAY
        for t, s in zip(times, split, strict=True)
        if s == "test"
    ]
    assert share_near_training(entries, 10) == pytest.approx(np.mean(near))


def test_a_leak_needs_both_kinds_of_events():
    one = EventList(np.array([0]), np.zeros((1, 1), bool), ("train",), np.zeros((1, 1)))
    with pytest.raises(DataError, match=r"between training and test events.*1 and 0"):
        share_near_training(one, 10)


@pytest.mark.real
def test_the_real_list_is_read_whole_and_leaks(real_data):
    events = read_event_list(real_data / "events" / "events_2010_2024.csv")
    assert len(events.times) == 8852 and set(events.split) == {"train", "test"}
    assert share_near_training(events, 10) == pytest.approx(0.186, abs=5e-4)
