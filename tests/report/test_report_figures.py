import numpy as np
import pytest

from heliosight.core.errors import ConfigError
from heliosight.core.records import Scorecard
from heliosight.report import ReportInputs, save_paper_figures
from heliosight.report.chart_forecast import quartiles
from heliosight.report.figure_attribution import signed_map
from heliosight.report.figure_forecast import MM
from heliosight.report.figures import _mark, paper_figures


@pytest.fixture
def figures(inputs):
    return dict(paper_figures(inputs()))


def test_an_unknown_format_is_refused(inputs, tmp_path):
    with pytest.raises(ConfigError, match=r"known format.*gif.*Known: pdf, svg, png"):
        save_paper_figures(tmp_path, inputs(), formats=("svg", "gif"))


def test_every_part_has_its_figure(figures):
    assert list(figures) == [
        "forecast",
        "skill_by_lead",
        "skill_differences",
        "training",
        "attribution_1_integrated_gradients",
        "attribution_1_integrated_gradients_solar_wind",
        "attribution_2_grad_cam",
    ]


def test_nothing_given_gives_no_figure(tmp_path):
    empty = ReportInputs(title="empty", simulated=False, scorecard=Scorecard())
    assert save_paper_figures(tmp_path, empty) == []


def test_sizes_are_those_of_columns(figures):
    widths = {name: figure.get_figwidth() / MM for name, figure in figures.items()}
    assert widths["forecast"] == pytest.approx(180)
    assert all(round(w) in (120, 180) for w in widths.values())


def test_every_plotted_axis_says_what_it_shows(figures):
    for name in ("forecast", "skill_by_lead", "training"):
        shown = [axis for axis in figures[name].axes if axis.axison]
        assert all(axis.get_ylabel() for axis in shown), name
    assert figures["forecast"].axes[-1].get_xlabel() == "time [UTC]"
    assert "[nT]" in figures["forecast"].axes[1].get_ylabel()
    assert "[km s" in figures["forecast"].axes[2].get_ylabel()


def test_files_are_written_in_the_formats_asked(inputs, tmp_path):
    only = inputs(explanations=(), training_log=None, scorecard=None)
    paths = save_paper_figures(tmp_path, only, formats=("pdf", "png"))
    assert [p.name for p in paths] == ["forecast.pdf", "forecast.png"]
    assert paths[0].read_bytes().startswith(b"%PDF")
    assert paths[1].read_bytes().startswith(b"\x89PNG")


def test_figures_carry_their_warnings_and_no_date(inputs, tmp_path):
    for path in save_paper_figures(tmp_path, inputs(), formats=("svg",)):
        text = path.read_text()
        assert "SIMULATED" in text, path.name
        assert "<dc:date>" not in text
        assert ("FAILED SELF-CHECK: randomisation" in text) == ("grad_cam" in path.name)
    real = save_paper_figures(tmp_path / "real", inputs(simulated=False), formats=("svg",))
    assert all("SIMULATED" not in path.read_text() for path in real)


@pytest.mark.parametrize(
    ("simulated", "drawn", "other"),
    [
        (True, "FRAMES FROM A FILE, THE REST SIMULATED", "SIMULATED"),
        (False, "FRAMES FROM A FILE", ""),
    ],
)
def test_figures_of_frames_from_a_file_are_not_called_simulated(inputs, simulated, drawn, other):
    page = inputs(frames_from_file=True, simulated=simulated)
    assert _mark(page, "attribution_1_grad_cam") == drawn
    assert _mark(page, "skill_by_lead") == other


def test_the_same_inputs_give_the_same_bytes(inputs, tmp_path):
    one, two = (
        save_paper_figures(tmp_path / k, inputs(explanations=()), formats=("svg", "pdf"))
        for k in ("a", "b")
    )
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]


def test_the_signed_map_is_white_at_zero():
    colours = signed_map()
    assert colours(0.5)[:3] == pytest.approx((1, 1, 1), abs=0.01)
    assert colours(0.0)[2] > colours(0.0)[0]
    assert colours(1.0)[0] > colours(1.0)[2]


def test_unresolved_differences_are_open_marks(figures):
    faces = [
        line.get_markerfacecolor()
        for axis in figures["skill_differences"].axes
        for line in axis.lines
        if line.get_marker() == "o"
    ]
    assert faces == ["black", "white", "black"]


def test_a_profile_without_maps_is_drawn_alone(inputs, explanations):
    record, arrays = explanations[1]
    only = {"profile": arrays["profile"]}
    found = dict(paper_figures(inputs(explanations=((record, only), (record, {})))))
    (name,) = (n for n in found if n.startswith("attribution"))
    assert name == "attribution_1_grad_cam"
    assert len(found[name].axes) == 1
    assert found[name].axes[0].get_ylabel() == "ap (2 nT) per frame"


def test_quartiles_are_the_nearest_levels():
    assert quartiles(np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])) == (2, 4)
    assert quartiles(np.array([0.1, 0.5, 0.9])) == (0, 2)
