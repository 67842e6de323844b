import numpy as np
import pytest

from heliosight.report.sun_page import (
    SunCurve,
    SunFrames,
    SunPage,
    SunStatistic,
    curve_chart,
    frames_picture,
    render_sun_page,
    write_sun_page,
)

LINE = (np.arange(5.0), np.array([1.0, 3.0, np.nan, 2.0, 1.0]))


def a_page(**changed):
    parts = {
        "about": "a <b>Sun</b>",
        "real_name": "real & true",
        "curves": (SunCurve("Speed", "speed [km/s]", "share [%]", LINE, LINE),),
        "frames": tuple(
            SunFrames(np.full((2, 3, 8, 8), 40, np.uint8), ("193", "211"), ("a", "b", "c"), made)
            for made in (True, False)
        ),
        "statistics": (
            SunStatistic("one [nT]", 1.5, 1.4, "1 to 2", True),
            SunStatistic("two", -9.0, None, "0 to 1", False),
            SunStatistic("three", None, float("nan"), "", None),
        ),
    }
    return SunPage(**{**parts, **changed})


def test_every_figure_of_the_simulated_sun_is_stamped_and_no_real_one():
    both = curve_chart(a_page().curves[0], "real")
    assert ">SIMULATED</text>" in both.svg
    assert [name for name, *_ in both.legend] == ["SIMULATED", "real"]
    alone = curve_chart(SunCurve("Speed", "x [s]", "y [1]", None, LINE), "real")
    assert "SIMULATED" not in alone.svg
    made, real = (frames_picture(f) for f in a_page().frames)
    assert ">SIMULATED</text>" in made and "SIMULATED" not in real
    assert made.count("<image") == 6


def test_the_table_says_target_and_verdict_of_every_statistic():
    html = render_sun_page(a_page())
    assert "1 of 2 targets hold, 1 are missed." in html
    assert html.count("MISSES") == 1 and html.count(">holds<") == 1
    assert "−9" in html and "nan" not in html.lower().split("<table")[1]
    assert "speed [km/s]" in html and "share [%]" in html


def test_names_are_escaped_and_nothing_is_fetched():
    html = render_sun_page(a_page())
    assert "a &lt;b&gt;Sun" in html and "real &amp; true" in html
    assert "http" not in html.replace("http-equiv", "")
    assert "src=" not in html


def test_a_page_without_real_data_says_so():
    curve = SunCurve("Speed", "x [s]", "y [1]", LINE, None)
    html = render_sun_page(a_page(curves=(curve,), frames=(), statistics=()))
    assert "No real data to draw beside it." in html
    assert "No frames." in html and "No target could be judged." in html


@pytest.mark.parametrize("log", [False, True])
def test_a_gap_breaks_the_curve(log):
    chart = curve_chart(SunCurve("Kp", "Kp [1]", "share [%]", LINE, None, log), "real")
    path = chart.svg.split('<path class="curve bold"')[1].split("/>")[0]
    assert path.count("M") == 2


def test_the_page_is_one_file(tmp_path):
    path = write_sun_page(tmp_path / "deep" / "sun.html", a_page())
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert [p.name for p in path.parent.iterdir()] == ["sun.html"]
