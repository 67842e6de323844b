"""T26: a channel that no longer goes with the others as it did where the model learned."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diagnosis_worlds import Source, line, outcome, smooth, windows
from hypothesis import given, settings
from hypothesis import strategies as st

from heliosight.diagnosis import DiagnosisConfig, diagnose, relations

ASKED = DiagnosisConfig(checks=("T26",), shifts=4, windows=260)
PAST, OWN = 900, 260


def world(parted, images=1.0, wind=1.0, past=PAST, seed=0):
    """Density repeats the newest frame's brightness; in the last windows not, where `parted`."""
    batch = windows(n=past + OWN, image_effect=images, wind_effect=wind, seed=seed)
    bright = (batch.inputs["images"][:, :, -1].mean((1, 2, 3)).numpy() - 120) / 20
    copy = bright + 0.3 * smooth(past + OWN, seed + 7)[:, 0]
    if parted:
        copy[past:] = smooth(past + OWN, seed + 8)[past:, 0]
    x = batch.inputs["solar_wind"].clone()
    x[:, :, 1] = torch.tensor(copy).float()[:, None]
    source = Source(batch.with_inputs({"solar_wind": x}))
    return source, source.times[past:]


def asked(subject, parted=True, **kwargs):
    source, times = world(parted, **kwargs)
    return diagnose(subject, source, ASKED, issue_times=times, data_times=source.times)


def test_a_shortcut_that_is_gone_is_named_and_no_other_channel():
    found = asked(line(image=0.0, wind=0.3, noise=0.3))
    ill = outcome(found, "T26", "solar_wind/density")
    assert (ill.outcome, ill.cause) == ("fault", "broken_relation")
    assert ill.value.low > 1 and ill.p < 1e-3 and "goes on relying" in ill.reason
    others = [f for f in found.findings if f is not ill]
    assert len(others) == 3 and all(f.outcome == "healthy" for f in others)


def test_a_shortcut_that_still_holds_is_fine():
    found = asked(line(image=0.0, wind=0.3, noise=0.3), parted=False)
    assert [f.outcome for f in found.findings] == ["healthy"] * 4
    assert "as before" in outcome(found, "T26", "solar_wind/density").reason
    assert "no lasting relation to lose" in outcome(found, "T26", "solar_wind/speed").reason


def test_a_parted_channel_that_is_not_read_or_still_helps_is_fine():
    unread = outcome(asked(line(image=0.3, wind=0.3, noise=0.0)), "T26", "solar_wind/density")
    assert unread.outcome == "healthy" and "does not move with it" in unread.reason
    source, times = world(parted=True)
    density = source.whole.inputs["solar_wind"][:, -1, 1]
    noise = torch.tensor(smooth(len(density), 3, count=4)).float()
    y = torch.expm1((2 + 0.3 * density)[:, None] + 0.1 * noise)
    source.whole = replace(source.whole, target=y)
    found = diagnose(
        line(image=0.0, wind=0.0, noise=0.3),
        source,
        ASKED,
        issue_times=times,
        data_times=source.times,
    )
    assert "still brings skill" in outcome(found, "T26", "solar_wind/density").reason


def test_there_must_be_other_windows_and_enough_of_them():
    alone = outcome(diagnose(line(), windows(n=OWN), ASKED), "T26")
    assert alone.outcome == "not_applicable" and "Pass diagnose(..., data_times=)" in alone.reason
    assert "relations are compared with other windows of the same data" in alone.reason
    few = outcome(asked(line(), past=400), "T26")
    assert few.outcome == "inconclusive" and "a range needs 4 spans of 8 blocks" in few.reason


def test_one_channel_alone_has_no_relation():
    source, times = world(parted=False)
    still = {m: 0 * x + 3 for m, x in source.whole.inputs.items()}
    still["solar_wind"][:, :, 0] = source.whole.inputs["solar_wind"][:, :, 0]
    source.whole = source.whole.with_inputs(still)
    found = diagnose(line(), source, ASKED, issue_times=times, data_times=source.times)
    assert "a relation is asked of two channels that vary. Found: 1" in outcome(found, "T26").reason


@given(
    st.integers(0, 10**6), st.integers(1, 4),
    st.floats(-50.0, 50.0), st.floats(0.01, 100.0) | st.floats(-100.0, -0.01),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_the_agreement_is_the_mean_correlation_in_any_unit(seed, columns, shift, factor):
    rng = np.random.default_rng(seed)
    y, said = rng.standard_normal((2, 30, columns))
    said += y
    slow = np.mean([np.corrcoef(y[:, k], said[:, k])[0, 1] for k in range(columns)])
    fast = relations._agreement(relations._terms(y, said).sum(0))
    assert fast == pytest.approx(slow, abs=1e-9)
    unit = relations._agreement(relations._terms(y * factor + shift, said * factor - shift).sum(0))
    assert unit == pytest.approx(slow, abs=1e-6)
    silent = relations._agreement(relations._terms(y, np.zeros_like(y)).sum(0))
    assert silent == 0.0


def test_the_relation_knows_no_unit():
    source, times = world(parted=True)
    plain = diagnose(line(), source, ASKED, issue_times=times, data_times=source.times)
    other = {m: 8.0 * x for m, x in source.whole.inputs.items()}
    source.whole = source.whole.with_inputs(other)
    scaled = diagnose(line(), source, ASKED, issue_times=times, data_times=source.times)
    for a, b in zip(plain.findings, scaled.findings, strict=True):
        assert b.value.value == pytest.approx(a.value.value, abs=1e-3)


def test_scaling_a_channel_now_alone_parts_nothing():
    """T25 tells that; a relation is asked in each sample's own deviations."""
    source, times = world(parted=False)
    x = source.whole.inputs["solar_wind"].clone()
    x[PAST:, :, 1] = 5 * x[PAST:, :, 1] + 40
    source.whole = source.whole.with_inputs({"solar_wind": x})
    found = diagnose(line(), source, ASKED, issue_times=times, data_times=source.times)
    assert all(f.outcome == "healthy" for f in found.findings)
