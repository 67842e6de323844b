import base64
import io
import re
from itertools import pairwise

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from heliosight.core.geomagnetic import AP_LEVELS, STORM_AP
from heliosight.report.chart_attribution import hours_axis
from heliosight.report.chart_lines import Line, line_chart
from heliosight.report.colours import (
    LOWERS,
    MOST_OPAQUE,
    RAISES,
    common_scale,
    lightened,
    signed_overlay,
    storm_class,
)
from heliosight.report.images import grey_strips, overlay_strips
from heliosight.report.svg import (
    Panel,
    log_span,
    log_ticks,
    nice_ticks,
    number,
    power_of,
    span_of,
    superscript,
)


def _pixels(uri: str) -> np.ndarray:
    raw = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.rint(matplotlib.image.imread(io.BytesIO(raw)) * 255).astype(int)


@pytest.mark.accuracy
def test_storm_classes_begin_where_noaa_says():
    for ap in AP_LEVELS:
        reached = [name for name, least in STORM_AP.items() if ap >= least]
        assert storm_class(ap) == (max(reached) if reached else "G0")
    assert [storm_class(a) for a in (32, 39, 67, 111, 179, 400)] == [
        "G0", "G1", "G2", "G3", "G4", "G5",
    ]  # fmt: skip


def test_zero_is_transparent_and_sign_is_hue():
    rgba = signed_overlay(np.array([0.0, 1.0, -1.0, 0.5, 7.0]), 1.0)
    assert rgba[0, 3] == 0
    assert tuple(rgba[1, :3]) == RAISES
    assert tuple(rgba[2, :3]) == LOWERS
    assert 0 < rgba[3, 3] < rgba[1, 3] == rgba[4, 3]


def test_a_map_of_zeros_is_invisible():
    maps = np.zeros((1, 2, 4, 4))
    assert common_scale(maps) == 0.0
    assert _pixels(overlay_strips(maps, 0.0)[0])[..., 3].max() == 0


@pytest.mark.accuracy
@given(arrays(np.float64, (2, 3), elements=st.floats(-10, 10)), st.floats(0.1, 10))
def test_the_overlay_is_that_of_each_value_alone(values, scale):
    """Slow twin: a pixel's colour depends on its value and the common scale, nothing else."""
    rgba = signed_overlay(values, scale)
    for place in np.ndindex(values.shape):
        value = values[place]
        share = min(abs(value) / scale, 1.0)
        alpha = round(round(share * 63) / 63 * MOST_OPAQUE)
        assert tuple(rgba[place]) == (*(RAISES if value >= 0 else LOWERS), alpha)


def test_a_single_pixel_sets_the_scale_when_all_others_vanish():
    maps = np.zeros(10_000)
    maps[3] = 2.0
    assert common_scale(maps) == 2.0


def test_strips_hold_the_frames_in_order():
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5))
    for channel, uri in zip(frames, grey_strips(frames), strict=True):
        grey = _pixels(uri)[..., 0]
        for t in range(3):
            assert np.array_equal(grey[:, 5 * t : 5 * t + 5], channel[t])


def test_lightened_colours_go_to_white():
    assert lightened("#ff0080", 1.0) == "#ff0080"
    assert lightened("#ff0080", 0.0) == "#ffffff"


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_lie_inside_and_are_few(low, span):
    high = low + span
    if not high > low or span < 1e-9 * abs(low):
        return
    ticks = nice_ticks(low, high)
    assert len(ticks) <= 7
    assert all(low - 1e-6 * span <= t <= high + 1e-6 * span for t in ticks)


@pytest.mark.parametrize("span", [(1e-6, 1e3), (0.2, 0.9), (1.0, 12.0), (1e-12, 1e12)])
def test_log_ticks_lie_inside(span):
    ticks = log_ticks(*span)
    assert 1 <= len(ticks) <= 8
    assert all(span[0] <= t <= span[1] for t in ticks)


def test_ranges_hold_their_values():
    assert nice_ticks(2.0, 2.0) == [2.0]
    low, high = span_of([3.0, 5.0, float("nan")])
    assert low < 3 < 5 < high
    assert span_of([3.0, 5.0], zero=True)[0] == 0.0
    assert span_of([0.0, 0.0], zero=True) == (0.0, 1.0), "a branch that is cut off moves nothing"
    assert span_of([-3.0, -5.0], zero=True)[1] == 0.0
    assert span_of([]) < (0.0, 2.0)
    low, high = log_span([1e-3, 10.0, 0.0, -1.0])
    assert 0 < low < 1e-3 < 10 < high
    assert log_span([]) == (0.1, 1.0)


def test_numbers_have_a_true_minus_sign():
    assert number(-0.5) == "−0.5"
    assert number(1e-5) == "1e−5"
    assert number(1.2e-5) == "1.2e−5"
    assert number(2e6) == "2e6"
    assert number(0.0) == "0"


@given(st.floats(-1e6, 1e6), st.integers(-14, 6), st.floats(1, 10))
def test_numbers_beside_an_axis_differ_and_fit_and_mean_what_they_say(low, power, span):
    low, high = low * 10.0 ** (power - 6), low * 10.0 ** (power - 6) + span * 10.0**power
    if high - low < 1e-3 * abs(low):
        return
    panel = Panel(62, 18, 500, 200, (0, 1), (low, high))
    panel.y_axis()
    panel.frame("nT")
    told = re.findall(r"text-anchor=\"end\">([^<]+)<", "".join(panel.parts))
    title = re.findall(r"rotate[^>]*>([^<]+)<", "".join(panel.parts))[0]
    left_out = 10.0 ** power_of((low, high))
    ticks = nice_ticks(low, high)
    assert len(set(told)) == len(ticks)
    assert [float(t.replace("−", "-")) * left_out for t in told] == pytest.approx(
        ticks, rel=1e-5, abs=1e-6 * (high - low)
    )
    assert title == (f"10{superscript(power_of((low, high)))} × nT" if left_out != 1 else "nT")


def test_small_numbers_leave_their_power_to_the_axis_title():
    panel = Panel(62, 18, 500, 200, (0, 1), (-1.6e-5, 1.6e-5))
    panel.y_axis()
    panel.frame("ap (2 nT)")
    drawn = "".join(panel.parts)
    assert "10⁻⁵ × ap (2 nT)" in drawn and ">−1<" in drawn and "e−" not in drawn


def test_a_panel_maps_its_corners():
    panel = Panel(10, 20, 100, 50, (0, 4), (1, 100), log=True)
    assert (panel.px(0), panel.px(4)) == (10, 110)
    assert (panel.py(1), panel.py(10), panel.py(100)) == (70, 45, 20)


def test_a_line_breaks_at_a_hole():
    panel = Panel(0, 0, 10, 10, (0, 3), (0, 3))
    panel.path([0, 1, 2, 3], [0, np.nan, 2, 3], "c")
    assert panel.parts[0].count("M") == 2


def test_text_in_a_chart_is_escaped():
    chart = line_chart([Line("<b>", [1, 2], [1, 2])], "<i>x", "<i>y", "<i>alt", stamp="<i>s")
    assert "<i>" not in chart.svg
    assert "&lt;i&gt;x" in chart.svg


def test_a_single_point_can_be_drawn():
    chart = line_chart([Line("a", [1], [2.0])], "x", "y", "alt")
    assert re.search(r'd="M\d', chart.svg)


@given(st.floats(6, 5000), st.floats(-5000, 0))
def test_days_under_a_chart_never_overlap(span, start):
    panel = Panel(150, 16, 740, 150, (start, start + span), (0, 1))
    hours_axis(panel, "")
    places = [float(x) for x in re.findall(r'class="tick" x="([\d.]+)"', "".join(panel.parts))]
    assert places and all(b - a > 40 for a, b in pairwise(places))
