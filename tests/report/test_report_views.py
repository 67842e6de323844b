import numpy as np
import pytest

from heliosight.core.records import Diagnosis, Interval
from heliosight.report import chart_attribution, chart_forecast, views_diagnosis, views_skill
from heliosight.report.chart_forecast import lead_rows
from heliosight.report.views_provenance import oracle_rows, records, versions
from heliosight.report.views_training import MOST_POINTS, training_charts
from heliosight.report.wording import Words

EN = Words("en")


@pytest.mark.parametrize(
    ("interval", "metric", "verdict"),
    [
        (Interval(-1.0, -2.0, -0.5), "rmse_ap_pooled", "better"),
        (Interval(1.0, 0.5, 2.0), "rmse_ap_pooled", "worse"),
        (Interval(1.0, 0.5, 2.0), "corr_log_within", "better"),
        (Interval(-1.0, -2.0, -0.5), "hss_G1_pooled", "worse"),
        (Interval(-1.0, -2.0, 0.5), "rmse_ap_pooled", "unresolved"),
        (Interval(-1.0, -2.0, 0.0), "rmse_ap_pooled", "unresolved"),
        (Interval(1.0, 0.5, 2.0), "bias_ap_pooled", "differs"),
        (Interval(1.0), "rmse_ap_pooled", "no_interval"),
    ],
)
def test_a_verdict_needs_an_interval_off_zero(interval, metric, verdict):
    assert views_skill.verdict(interval, metric) == verdict


@pytest.mark.parametrize(
    ("interval", "value", "text"),
    [
        (Interval(10.2, 9.4, 11.0), "10.20", "[9.40, 11.00]"),
        (Interval(-0.0471, -0.07, -0.02), "−0.047", "[−0.070, −0.020]"),
        (Interval(412.0, 380.0, 444.0), "412", "[380, 444]"),
        (Interval(0.0, 0.0, 1e-9), "0", "[0, 1.0e−9]"),
        (Interval(float("nan")), "–", ""),
    ],
)
def test_digits_follow_the_interval(interval, value, text):
    cell = views_skill.cell(interval)
    assert (cell.value, cell.interval) == (value, text)


def test_differences_show_their_sign():
    assert views_skill.cell(Interval(0.5, 0.1, 0.9), "rmse").value == "+0.50"
    assert views_skill.cell(Interval(-0.0001, -0.5, 0.5), "rmse").value == "0.00"


def test_slices_sort_days_before_leads_by_number():
    names = ["lead 10", "lead 2", "all", "day 2", "day 1"]
    assert sorted(names, key=views_skill.slice_order) == [
        "day 1",
        "day 2",
        "lead 2",
        "lead 10",
        "all",
    ]


def test_metric_names_are_read_apart():
    assert views_skill.metric_words("rmse_ap_pooled", EN) == "RMSE, ap (2 nT) (pooled)"
    assert views_skill.metric_words("brier_skill_G1_within", EN) == (
        "Brier skill, storm day G1 (within fold)"
    )
    assert views_skill.metric_words("odd", EN) == "odd"


def test_the_first_metric_is_open_and_the_rest_folded(scorecard):
    first, rest = views_skill.tables(scorecard.rows, "forecaster", differences=False)
    assert [t.metric for t in first] == ["rmse_ap_pooled"]
    assert [t.metric for t in rest] == ["corr_log_within"]
    assert first[0].slices == ("day 1", "day 2", "day 3")
    assert [(name, bold) for name, bold, _ in first[0].rows] == [
        ("forecaster", True),
        ("damped", False),
    ]


def test_the_headline_is_the_forecaster_against_the_reference(scorecard):
    metric, days = views_skill.headline_differences(scorecard, "forecaster")
    assert metric == "rmse_ap_pooled"
    assert [(d, c.verdict) for d, c in days] == [
        ("day 1", "better"), ("day 2", "unresolved"), ("day 3", "worse"),
    ]  # fmt: skip
    assert views_skill.headline_differences(scorecard, "another") == ("", [])


def test_a_difference_to_the_reference_needs_no_second_name():
    assert views_skill.system_words("a - damped", EN, "damped") == "a"
    assert views_skill.system_words("a - damped", EN, "b") == "a − damped recurrence"


def test_only_the_forecaster_has_a_band(scorecard):
    rows = [row for row in scorecard.rows if row.slice.startswith("lead")]
    bold = views_skill.lead_line("forecaster", "rmse_ap_pooled", rows, True, EN)
    thin = views_skill.lead_line("damped", "rmse_ap_pooled", rows, False, EN)
    assert list(bold.x) == [3.0 * k for k in range(1, 25)]
    assert len(bold.low) == 24
    assert not thin.low
    bare = views_skill.lead_line("forecaster", "corr_log_within", rows, True, EN)
    assert not bare.low


def test_findings_stand_worst_first(diagnosis):
    order = [v.finding.outcome for v in views_diagnosis.finding_views(diagnosis)]
    assert order == ["fault", "inconclusive", "benign_unused", "healthy", "not_applicable"]
    assert views_diagnosis.counts(diagnosis)[0] == ("fault", 1)
    images = dict(views_diagnosis.subjects(diagnosis))["images"]
    assert [(o, n) for o, _, n in images] == [
        ("fault", 1),
        ("inconclusive", 1),
        ("benign_unused", 1),
    ]


@pytest.mark.parametrize(
    ("outcomes", "key"),
    [
        ({"fault", "healthy"}, "headline_fault"),
        ({"inconclusive", "healthy"}, "headline_inconclusive"),
        ({"benign_unused", "healthy"}, "headline_fine"),
        ({"not_applicable"}, "headline_nothing"),
        (set(), "headline_nothing"),
    ],
)
def test_the_headline_says_the_worst(diagnosis, outcomes, key):
    kept = tuple(f for f in diagnosis.findings if f.outcome in outcomes)
    assert views_diagnosis.headline(Diagnosis(findings=kept)) == key


def test_lead_rows_tell_what_the_bars_show(example):
    rows = lead_rows(example)
    assert rows[0]["time"] == "2015-03-17T00:00:00Z"
    assert (rows[0]["median"], rows[0]["kp"], rows[0]["storm"]) == ("4", "1o", "G0")
    assert (rows[-1]["storm"], rows[-1]["observed"]) == ("G3", "")
    assert rows[0]["observed"] == "27"


def test_the_forecast_chart_prints_level_and_class_beside_colour(example):
    svg = chart_forecast.forecast_chart(example, EN, simulated=True)
    assert ">G3<" in svg
    assert ">3-<" in svg
    assert ">SIMULATED<" in svg
    assert svg.count('class="outcome"') == 20
    for css in ("issue", "last-input", "last-valid", "southward", "zero"):
        assert f'class="{css}"' in svg
    assert ">SIMULATED<" not in chart_forecast.forecast_chart(example, EN, simulated=False)


def test_profiles_come_from_the_record_else_from_the_maps(explanations, maps):
    (_, own), (_, given) = explanations
    assert np.allclose(chart_attribution.frame_profile(own), maps.sum((0, 2, 3)))
    assert np.array_equal(chart_attribution.frame_profile(given), given["profile"])
    assert chart_attribution.frame_profile({}) is None


def test_a_methods_layer_stays_beside_its_name():
    assert (
        chart_attribution.method_words("grad_cam (cell.images.0)", EN) == "Grad-CAM (cell.images.0)"
    )
    assert chart_attribution.method_words("mine", EN) == "mine"


def test_channel_sums_keep_their_sign(explanations):
    record, arrays = explanations[0]
    assert chart_attribution.channel_sums(record, arrays["images"]) == [
        ("aia_193", 10.0), ("hmi_magnetogram", -2.0),
    ]  # fmt: skip
    assert chart_attribution.channel_sums(record, arrays["images"].sum(0)) == []


def test_frame_hours_are_relative_to_issue(explanations):
    assert chart_attribution.hours_before(explanations[0][0]).tolist() == [-18, -12, -6, 0]


def test_series_without_a_specification_are_numbered(explanations):
    record, arrays = explanations[0]
    span = chart_attribution.time_span(record, [(6, None)])
    svg = chart_attribution.series_chart(
        "solar_wind", arrays["solar_wind"], None, record, span, EN, ""
    )
    assert "variable 3" in svg


def test_training_charts_exist_for_what_was_logged(training_log):
    keys = [key for key, _ in training_charts(training_log, EN, "")]
    assert keys == [
        "training_loss", "training_gradient", "training_feature", "training_hidden_norm",
        "training_rate",
    ]  # fmt: skip
    assert training_charts([], EN, "") == []
    only = [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": None}]
    assert [key for key, _ in training_charts(only, EN, "")] == ["training_loss"]


def test_a_spike_survives_thinning():
    steps = [
        {"kind": "step", "epoch": 1, "step": s + 1, "gradient_norms": {"head": 1.0}}
        for s in range(3 * MOST_POINTS)
    ]
    steps[700]["gradient_norms"] = {"head": 1e6}
    ((_, chart),) = training_charts(steps, EN, "")
    flat = list(steps)
    flat[700] = {**flat[700], "gradient_norms": {"head": 1.0}}
    ((_, without),) = training_charts(flat, EN, "")
    assert chart.svg != without.svg
    assert chart.svg.count("L") <= MOST_POINTS


def test_every_record_is_named_once_with_its_versions(inputs):
    whole = inputs()
    assert [stage for stage, _ in records(whole)] == [
        "data",
        "train",
        "evaluate",
        "diagnose",
        "explain",
    ]
    assert versions(whole) == {"torch": "2.13.0"}
    assert oracle_rows({"a": {"b": 1.23456}, "c": "d"}) == [("a.b", "1.235"), ("c", "d")]


def test_a_tiny_difference_keeps_its_sign():
    assert views_skill.signed(0.000868932911254224, 5) == "+8.7e−4"
    assert views_skill.signed(-0.000868932911254224, 5) == "−8.7e−4"
    assert views_skill.signed(0.0, 5) == "0"
