import numpy as np
import pytest
import torch
from diagnosis_worlds import CALL, LEADS, SPEC, Last, Mean, line, outcome, windows
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from heliosight.core.errors import NotApplicable
from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.diagnosis.crossing import crossing, shares, split
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.use import uses
from heliosight.subject import examine, wrap

T8 = DiagnosisConfig(checks=("T8",))


class Product(nn.Module):
    """exp(2 + 0.3 (a a' z_a + b' z_b + p z_a z_b)): how the two act together is known."""

    def __init__(self, product=1.0):
        super().__init__()
        self.eye, self.breeze, self.product = Mean(-1), Last(), product

    def forward(self, sdo, omni):
        a, b = self.eye(sdo), self.breeze(omni)[:, :1]
        return torch.expm1(4 + 0.1 * (a + b + self.product * a * b)).expand(-1, LEADS)


def product(size=1.0):
    module = Product(size)
    parts = {"encoder.images": module.eye, "encoder.solar_wind": module.breeze}
    return wrap(module, SPEC, call=CALL, parts=parts, name="product")


def of(subject, **kwargs):
    with examine(subject):
        return split(Evidence(subject, windows(), DiagnosisConfig(**kwargs)))


def test_an_additive_model_has_no_interaction():
    found = outcome(diagnose(line(), windows(), T8), "T8", "images x solar_wind")
    assert found.outcome == "healthy"
    assert "add up" in found.reason
    assert found.value.value < 0.01


def test_an_interaction_is_found():
    found = outcome(diagnose(product(), windows(), T8), "T8", "images x solar_wind")
    assert found.outcome == "healthy"
    assert "more than their sum" in found.reason
    a, b, both = of(product())
    assert a.value + b.value + both.value == pytest.approx(1.0)
    assert both.interval().low < 1 / 3 < both.interval().high


def test_what_both_inputs_do_together_is_counted_with_each():
    def totals(subject):
        with examine(subject):
            return [u.share.value for u in uses(Evidence(subject, windows(), T8)).values()]

    both = of(product())[2].value
    assert sum(totals(product())) > 1.1 and min(totals(product())) > both
    assert sum(totals(line())) == pytest.approx(1.0, abs=0.15)


@given(st.integers(0, 100))
def test_shares_equal_expected_mean_squares(seed):
    """Slow twin: mean squares by their sums over cells, one lead."""
    f = np.random.default_rng(seed).standard_normal((4, 5, 1)).cumsum(0)
    n, m = 4, 5
    g = f[..., 0]
    mean = g.mean()
    ms_a = m * sum((g[i].mean() - mean) ** 2 for i in range(n)) / (n - 1)
    ms_b = n * sum((g[:, j].mean() - mean) ** 2 for j in range(m)) / (m - 1)
    rest = sum(
        (g[i, j] - g[i].mean() - g[:, j].mean() + mean) ** 2 for i in range(n) for j in range(m)
    ) / ((n - 1) * (m - 1))
    wanted = np.array([(ms_a - rest) / m, (ms_b - rest) / n, rest])
    np.testing.assert_allclose(shares(f), wanted / wanted.sum(), rtol=1e-9)


@pytest.mark.parametrize("factor", [1e-2, 1e2])
def test_a_rescaled_branch_changes_no_share(factor):
    changed = line()
    with torch.no_grad():
        changed.module.eye.scale *= factor
        changed.module.weights[0] /= factor
    for one, other in zip(of(changed), of(line()), strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-4)


def test_one_matrix_is_kept_and_a_full_level_crosses_more():
    subject = product()
    with examine(subject):
        evidence = Evidence(subject, windows(), DiagnosisConfig())
        assert crossing(evidence) is crossing(evidence)
        assert crossing(evidence).shape == (64, 64, LEADS)
        full = Evidence(subject, windows(), DiagnosisConfig(level="full"))
        assert crossing(full).shape == (128, 128, LEADS)
        assert len(full.shifts) == 4 * len(evidence.shifts)


def test_a_crossing_needs_two_branches_apart():
    subject = wrap(Product(), SPEC, call=CALL, parts={})
    with examine(subject), pytest.raises(NotApplicable, match="encoded apart"):
        crossing(Evidence(subject, windows(), DiagnosisConfig()))
    said = diagnose(subject, windows(n=300), T8)
    assert not [f for f in said.findings if " x " in f.subject]
