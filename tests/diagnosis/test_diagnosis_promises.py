"""What the page of each check promises, whatever was measured: drawn estimates, drawn logs."""

from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from heliosight.diagnosis import DiagnosisConfig, fusion, learning, usage
from heliosight.diagnosis.blocks import Estimate, jackknife
from heliosight.diagnosis.fusion import Balance, LooksAtInput
from heliosight.diagnosis.learning import GradientAboveNoise
from heliosight.diagnosis.usage import DataHold
from heliosight.diagnosis.use import Holding

pytestmark = pytest.mark.consistency
CONFIG = DiagnosisConfig()
ESTIMATES = st.builds(
    Estimate, st.floats(-2, 2), st.sampled_from([0.0, 1e-6, 0.01, 0.3]), st.integers(2, 60)
)
few = settings(max_examples=60)


@few
@given(
    st.dictionaries(st.sampled_from("abc"), ESTIMATES, min_size=1), st.sampled_from([None, 0.05])
)
def test_what_the_data_hold_is_never_a_fault_of_the_model(gains, detectable):
    found = {m: Holding(gain, detectable) for m, gain in gains.items()}
    evidence = SimpleNamespace(config=CONFIG, sample=SimpleNamespace(times=[0]))
    with mock.patch.object(usage, "holdings", lambda _: found):
        outcomes = {f.subject: f.outcome for f in DataHold().run(evidence)}
    assert set(outcomes.values()) <= {"healthy", "benign_unused", "inconclusive"}
    for m, gain in gains.items():
        if gain.value <= CONFIG.smallest_gain:
            assert outcomes[m] != "healthy"
        if detectable is None:
            assert outcomes[m] != "benign_unused"


@few
@given(ESTIMATES, st.floats(1e-9, 1e9))
def test_a_branch_lost_at_the_fusion_is_no_fault_and_its_raw_size_decides_nothing(share, size):
    evidence = SimpleNamespace(config=CONFIG)
    with mock.patch.object(fusion, "_share", lambda *_: share):
        one, other = (Balance()._branch(evidence, "m", np.zeros(1), s) for s in (size, 1.0))
    assert one.outcome == other.outcome != "fault" and one.cause == ""


@few
@given(ESTIMATES)
def test_a_gate_that_looks_at_nothing_is_no_fault(effect):
    with mock.patch.object(fusion, "_static_effect", lambda *_: effect):
        found = LooksAtInput()._layer(SimpleNamespace(config=CONFIG), "gate", [])
    assert found.outcome in ("healthy", "benign_unused", "inconclusive") and not found.cause
    assert found.outcome != "healthy" or effect.value > CONFIG.smallest_use


@few
@given(st.dictionaries(st.sampled_from("abc"), st.floats(0, 1), min_size=1))
def test_pulled_or_not_is_never_a_fault(chances):
    evidence = SimpleNamespace(config=CONFIG, roles=lambda _: list(chances))
    with (
        mock.patch.object(learning, "_weights", lambda *_: [1]),
        mock.patch.object(learning, "pull", lambda _, role: (0.0, chances[role])),
    ):
        found = GradientAboveNoise().run(evidence)
    assert {f.outcome for f in found} <= {"healthy", "inconclusive"}
    assert all(f.outcome == "inconclusive" for f in found if chances[f.subject] > 0.05)


@few
@given(st.integers(0, 2**16), st.floats(1e-4, 1.0))
def test_adam_undoes_a_shrinking_that_is_the_same_at_every_step(seed, left):
    def trained(share):
        weight = nn.Parameter(torch.ones(4, dtype=torch.float64))
        optimiser = torch.optim.Adam([weight], lr=0.1, eps=0.0)
        draw = torch.Generator().manual_seed(seed)
        for _ in range(8):
            noise = torch.randn(4, generator=draw, dtype=torch.float64)
            weight.grad = share * (weight.detach() + noise)
            optimiser.step()
        return weight.detach()

    torch.testing.assert_close(trained(left), trained(1.0), rtol=1e-9, atol=1e-9)


@few
@given(arrays(np.float64, (30, 2), elements=st.floats(-5, 5)), st.integers(0, 2**16))
def test_of_the_best_forecast_the_variance_is_the_r2(inputs, seed):
    """Whatever the inputs: a least-squares forecast of small variance is no collapse."""
    y = np.random.default_rng(seed).standard_normal(30)
    x = np.column_stack([np.ones(30), inputs])
    f = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    r2 = 1 - np.mean((y - f) ** 2) / np.var(y)
    assert np.var(f) / np.var(y) == pytest.approx(r2, abs=1e-9)


@few
@given(st.integers(2, 9), st.integers(0, 2**16), st.floats(0.1, 9.0))
def test_an_interval_does_not_see_the_unit_nor_the_order_of_its_blocks(blocks, seed, unit):
    draw = np.random.default_rng(seed)
    terms = np.stack([draw.standard_normal(5 * blocks), np.ones(5 * blocks)], 1)
    rows = np.repeat(np.arange(blocks), 5)

    def mean(sums):
        return sums[..., 0] / sums[..., 1]

    one = jackknife(terms, rows, mean)
    other = jackknife(terms * [unit, 1], blocks - 1 - rows, mean)
    assert (other.value, other.error) == pytest.approx((unit * one.value, unit * one.error))
    assert one.p_above(0.1) + one.p_below(0.1) == pytest.approx(1.0)
