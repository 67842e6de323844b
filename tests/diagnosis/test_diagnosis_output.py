import numpy as np
import pytest
import torch
from diagnosis_worlds import LEADS, SPEC, line, outcome, smooth, windows
from torch import nn

from heliosight.core.batch import Batch
from heliosight.core.clock import DAY, HOUR
from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.output import _adds, _explained, calibration
from heliosight.diagnosis.sums import Columns, moments, products
from heliosight.subject import examine, wrap

T20 = DiagnosisConfig(checks=("T20",))
T21 = DiagnosisConfig(checks=("T21",))


def test_a_good_forecast_is_healthy():
    finding = outcome(diagnose(line(), windows(), T20), "T20")
    assert finding.outcome == "healthy"
    assert "slope" in finding.reason


def test_a_shrunk_forecast_is_collapse():
    finding = outcome(diagnose(line(gain=0.3), windows(), T20), "T20")
    assert (finding.outcome, finding.cause) == ("fault", "collapse")


def test_a_constant_forecast_is_collapse():
    finding = outcome(diagnose(line(image=0.0, wind=0.0), windows(), T20), "T20")
    assert (finding.outcome, finding.cause) == ("fault", "collapse")


def test_an_almost_constant_forecast_where_a_probe_finds_more_is_collapse():
    finding = outcome(diagnose(line(gain=0.01), windows(), T20), "T20")
    assert (finding.outcome, finding.cause) == ("fault", "collapse")


def test_an_almost_constant_forecast_of_noise_is_honest():
    world = windows(n=800, image_effect=0.0, wind_effect=0.0, noise=2.0)
    finding = outcome(diagnose(line(gain=0.02), world, T20), "T20")
    assert finding.outcome in ("healthy", "inconclusive")


def test_a_forecast_of_noise_with_large_amplitude_is_overconfident():
    world = windows(image_effect=0.0, wind_effect=0.0, noise=1.0)
    finding = outcome(diagnose(line(), world, T20), "T20")
    assert (finding.outcome, finding.cause) == ("fault", "overconfident")


def test_slope_equals_least_squares_within_leads():
    subject, batch = line(gain=0.5), windows(n=300)
    with examine(subject):
        evidence = Evidence(subject, batch, T20)
        f, y = evidence.forecast, evidence.observed[0]
        slope, lost, share = calibration(evidence)
    a, b = f - f.mean(0), y - y.mean(0)
    assert slope.value == pytest.approx((a * b).sum() / (a * a).sum())
    assert share.value == pytest.approx((a * a).sum() / (b * b).sum())
    assert lost.value == pytest.approx((slope.value - 1) ** 2 * share.value)


def test_the_best_forecast_has_variance_share_r2_and_slope_one():
    """Var f / Var y = R2 and slope 1 for the conditional mean, however low R2 is."""
    world = windows(n=3000, noise=4.0)
    subject = line()
    with examine(subject):
        evidence = Evidence(subject, world, DiagnosisConfig(windows=3000, scale="log"))
        slope, _, share = calibration(evidence)
        f, y = evidence.forecast, evidence.observed[0]
    r2 = 1 - ((y - y.mean(0) - f + f.mean(0)) ** 2).sum() / ((y - y.mean(0)) ** 2).sum()
    assert slope.value == pytest.approx(1.0, abs=0.25)
    assert share.value == pytest.approx(r2, abs=0.05)


def series_world(n=400):
    """Windows 12 h apart whose targets are one continuous AR(1) series of log1p(ap)."""
    steps = 4 * n + LEADS + 1
    x = 2 + 0.5 * smooth(steps, 5, width=6)[:, 0]
    place = 1 + 4 * np.arange(n)
    base = windows(n)
    target = np.stack([np.expm1(x[place + lead]) for lead in range(LEADS)], 1)
    w = base.inputs["solar_wind"].clone()
    w[:, -1, 0] = torch.tensor(x[place - 1]).float()
    w[:, -1, 1] = torch.tensor(x[place + 1]).float()
    times = torch.tensor(place * 3 * HOUR + DAY)
    return Batch(
        {**base.inputs, "solar_wind": w}, base.observed, times,
        torch.tensor(target).float(), base.target_mask,
    )  # fmt: skip


class Copies(nn.Module):
    def __init__(self, column):
        super().__init__()
        self.column = column

    def forward(self, b):
        return torch.expm1(b.inputs["solar_wind"][:, -1, self.column])[:, None].expand(-1, LEADS)


@pytest.mark.parametrize(("column", "expected"), [(0, "fault"), (1, "healthy")])
def test_a_copy_of_persistence_is_told_from_a_forecast(column, expected):
    found = diagnose(wrap(Copies(column), SPEC), series_world(512), T21)
    finding = outcome(found, "T21", "persistence")
    assert finding.outcome == expected
    assert finding.cause == ("copies_persistence" if expected == "fault" else "")


def test_unknown_past_is_not_applicable():
    found = diagnose(line(), windows(n=40), T21)
    assert outcome(found, "T21", "persistence").outcome == "not_applicable"


def test_semi_partial_correlation_equals_residual_regression():
    rng = np.random.default_rng(0)
    p, e, n = rng.standard_normal((3, 500, 1))
    f, y = 0.8 * p + 0.6 * e, 0.5 * p + 0.3 * e + n
    mask = np.ones_like(f, bool)
    groups = {**moments("f", f, mask), **moments("y", y, mask), **moments("p", p, mask)}
    for a, b, name in ((f, p, "fp"), (y, p, "yp"), (f, y, "fy")):
        groups |= products(name, a, b, mask)
    sums = Columns(groups).split(Columns(groups).matrix.sum(0))
    c = lambda u: (u - u.mean())[:, 0]  # noqa: E731
    rest = c(f) - c(p) * (c(f) @ c(p)) / (c(p) @ c(p))
    gain = (rest @ c(y)) ** 2 / (rest @ rest) / (c(y) @ c(y))
    assert _adds(sums) == pytest.approx(gain)
    assert _explained(sums) == pytest.approx(np.corrcoef(c(f), c(p))[0, 1] ** 2)
