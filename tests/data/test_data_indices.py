"""Kp/ap of CelesTrak's file and the daily coronal-hole area."""

import numpy as np
import pytest

from heliosight.core.clock import to_seconds
from heliosight.core.errors import DataError
from heliosight.core.geomagnetic import ap_of_kp
from heliosight.core.tables import BAD_FRAME, MISSING
from heliosight.data.coronal_holes import GLITCH, read_coronal_holes
from heliosight.data.kp_ap import read_daily_indices, read_kp_ap

DAY1 = (
    "1957 10 01 1700 19 43 40 30 20 37 23 43 37 273  32  27  15   7  22   9  32  22  21 1.1 5"
    " 334 269.8 0 266.8 235.5 269.3 266.6 230.9"
)
DAY2 = DAY1.replace("10 01", "10 02")
PREDICTED = DAY1.replace("1957 10 01", "1957 10 03")


def sw_all(
    path, days=(DAY1, DAY2), count=None, end="END OBSERVED", first="DATATYPE CssiSpaceWeather"
):
    lines = [
        first,
        f"NUM_OBSERVED_POINTS {len(days) if count is None else count}",
        "BEGIN OBSERVED",
    ]
    lines += [*days, end, "NUM_DAILY_PREDICTED_POINTS 1", "BEGIN DAILY_PREDICTED", PREDICTED]
    lines += ["END DAILY_PREDICTED"]
    path.write_text("\n".join(line for line in lines if line) + "\n")
    return path


def test_kp_and_ap_by_hand(tmp_path):
    table = read_kp_ap(sw_all(tmp_path / "SW-All.txt"))
    assert table.name == "geomagnetic" and table.cadence == 10800
    assert table.times[0] == to_seconds("1957-10-01T00:00Z") and len(table.times) == 16
    assert table.column("kp")[:4] == pytest.approx([13 / 3, 4.0, 3.0, 2.0])
    assert table.column("ap")[:8].tolist() == [32, 27, 15, 7, 22, 9, 32, 22]
    assert (ap_of_kp(table.column("kp")) == table.column("ap")).all()


def test_predicted_days_never_enter(tmp_path):
    path = sw_all(tmp_path / "SW-All.txt")
    for table in (read_kp_ap(path), read_daily_indices(path)):
        assert table.times[-1] < to_seconds("1957-10-03")


def test_daily_indices_by_hand(tmp_path):
    table = read_daily_indices(sw_all(tmp_path / "SW-All.txt"))
    assert table.column("ap_daily").tolist() == [21, 21]
    assert table.column("f107") == pytest.approx([269.3, 269.3])
    assert table.available[0] == to_seconds("1957-10-02")


def test_blank_fields_are_holes(tmp_path):
    blank = DAY2[:18] + " " * 24 + DAY2[42:46] + " " * 36 + DAY2[82:]
    table = read_kp_ap(sw_all(tmp_path / "SW-All.txt", (DAY1, blank)))
    assert (table.flags[8:] == MISSING).all() and not table.flags[:8].any()
    no_flux = DAY2[:112] + "   0.0" + DAY2[118:]
    table = read_daily_indices(sw_all(tmp_path / "SW-All.txt", (DAY1, no_flux)))
    assert table.flags[1].tolist() == [0, MISSING]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"first": "<html>"}, "begins with DATATYPE.*<html>"),
        ({"count": 3}, "section is whole.*2 days of 3"),
        ({"count": "2M"}, "section is whole.*2 days of 2M"),
        ({"end": ""}, "section is whole.*truncated"),
        ({"days": (DAY1, DAY2[:90])}, "has 130 characters.*90 at line 5"),
        ({"days": (DAY1, DAY1)}, "duplicated time 1957-10-01.*line 5"),
        ({"days": (DAY2, DAY1)}, "backward time"),
        ({"days": (DAY1, "19x7" + DAY2[4:])}, "year, month and day.*19x7"),
        (
            {"days": (DAY1, DAY2.replace(" 43 40", " 4x 40"))},
            "number or blank.*'4x' at line 5, col",
        ),
    ],
)
def test_bad_index_files_are_refused(tmp_path, change, match):
    with pytest.raises(DataError, match=f"(?s){match}"):
        read_kp_ap(sw_all(tmp_path / "SW-All.txt", **change))


@pytest.mark.real
def test_real_indices_agree_with_bartels_and_with_omni(real_data):
    table = read_kp_ap(real_data / "kp_ap" / "SW-All_1957_2022.txt")
    assert len(table.times) == 8 * 23833 and not table.flags.any()
    assert (ap_of_kp(table.column("kp")) == table.column("ap")).all()
    daily = read_daily_indices(real_data / "kp_ap" / "SW-All_1957_2022.txt")
    mean = table.column("ap").reshape(-1, 8).mean(1)
    assert np.abs(mean - daily.column("ap_daily")).max() <= 1.0


def holes(path, rows, header="date,ch_area,disk_median"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def days(count, median=200.0):
    return [f"2015-01-{d:02d},0.0{d % 9},{median + d:.1f}" for d in range(1, count + 1)]


def test_area_is_known_at_its_own_stamp(tmp_path):
    table = read_coronal_holes(holes(tmp_path / "ch.csv", days(5)))
    assert (table.available == table.times).all()
    assert table.column("ch_area")[0] == pytest.approx(0.01)


def test_a_glitch_is_flagged_from_its_past_alone(tmp_path):
    rows = days(12)
    rows[8] = "2015-01-09,0.02,40.0"
    table = read_coronal_holes(holes(tmp_path / "ch.csv", rows))
    assert np.flatnonzero(table.flags[:, 1] & BAD_FRAME).tolist() == [8]
    assert not table.flags[:, 0].any()
    cut = read_coronal_holes(holes(tmp_path / "cut.csv", rows[:9]))
    assert (cut.flags == table.flags[:9]).all()
    assert 0 < GLITCH < np.log(200 / 40)


def test_an_empty_cell_is_a_hole(tmp_path):
    table = read_coronal_holes(holes(tmp_path / "ch.csv", ["2015-01-01,,210.0", "2015-01-02,1.5,"]))
    assert table.flags.tolist() == [[1, 0], [2, 1]]


@pytest.mark.parametrize(
    ("rows", "header", "match"),
    [
        (days(2), "time,area,median", "header is date,ch_area,disk_median.*time,area"),
        ([*days(2), "2015-01-03,0.1"], None, "line is date,ch_area.*'2015-01-03,0.1' at line 4"),
        ([*days(2), "2015-01-02,0.1,200"], None, "duplicated time 2015-01-02.*line 4"),
        ([*days(2), "2014-01-02,0.1,200"], None, "backward time 2014-01-02"),
        (["2015-01-01,abc,200"], None, "line is date,ch_area.*abc"),
    ],
)
def test_bad_area_files_are_refused(tmp_path, rows, header, match):
    path = holes(tmp_path / "ch.csv", rows, header or "date,ch_area,disk_median")
    with pytest.raises(DataError, match=f"(?s){match}"):
        read_coronal_holes(path)


@pytest.mark.real
def test_real_area_is_whole(real_data):
    path = real_data / "coronal_holes" / "aia193_ch_area_daily_2011_2022.csv"
    table = read_coronal_holes(path)
    assert len(table.times) == 4383
    missing = (table.flags[:, 0] & MISSING > 0).mean()
    assert 0.005 < missing < 0.01
    glitches = (table.flags[:, 1] & BAD_FRAME > 0).mean()
    assert 0.01 < glitches < 0.05


def test_a_field_without_end_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("date,ch_area,disk_median\n" + "x" * 200_000 + "\n")
    with pytest.raises(DataError, match=r"is CSV.*field larger"):
        read_coronal_holes(tmp_path / "a.csv")
