"""T25: a channel that arrives on another scale than the one it was learned on."""

import numpy as np
import pytest
import torch
from diagnosis_worlds import CALL, LEADS, SPEC, Last, line, outcome, windows, with_past
from torch import nn

from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.diagnosis.arrival import arrival
from heliosight.diagnosis.blocks import block_rows
from heliosight.diagnosis.sample import Sample
from heliosight.subject import wrap

ASKED = DiagnosisConfig(checks=("T25",), shifts=4, windows=260)


def four_times(images):
    images = images.clone()
    images[:, 0] *= 4.0
    return images


def asked(subject, change=None, past=400):
    source, times = with_past(past=past, change=change)
    return diagnose(
        subject, source, ASKED, issue_times=times, data_times=source.times
    )  # fmt: skip


def test_channels_that_arrive_as_they_were_learned_are_fine():
    found = asked(line())
    assert [f.outcome for f in found.findings] == ["healthy"] * 4
    assert all(f.value.value < 0.5 for f in found.findings)


def test_a_channel_on_another_scale_is_named_and_no_other_one():
    found = asked(line(), four_times)
    ill = outcome(found, "T25", "images/aia_193")
    assert (ill.outcome, ill.cause) == ("fault", "off_scale")
    assert ill.value.value > 1 and "times 0.25" in ill.reason
    assert outcome(found, "T25", "images/aia_211").outcome == "healthy"
    assert outcome(found, "T25", "solar_wind/speed").outcome == "healthy"


class EveryFrameScaled(nn.Module):
    """Takes each frame's own size out of it, so that no scale reaches the forecast."""

    def __init__(self):
        super().__init__()
        self.breeze, self.weight = Last(), nn.Parameter(torch.tensor(0.3))

    def forward(self, sdo, omni):
        frames = sdo / sdo.pow(2).mean((3, 4), keepdim=True).sqrt()
        z = self.weight * 50 * (frames[:, -1].mean((1, 2, 3)) - 0.99)[:, None]
        return torch.expm1((2 + z + 0.3 * self.breeze(omni)[:, :1]).expand(-1, LEADS))


def test_a_model_that_makes_up_for_the_scale_is_fine():
    subject = wrap(EveryFrameScaled(), SPEC, call=CALL, name="scaled")
    found = outcome(asked(subject, lambda x: 4.0 * x), "T25", "images/aia_193")
    assert found.outcome == "healthy" and "the forecast is the same on either" in found.reason


def test_there_must_be_other_windows_and_enough_of_them():
    alone = diagnose(line(), windows(n=260), ASKED)
    found = outcome(alone, "T25")
    assert found.outcome == "not_applicable" and "Pass diagnose(..., data_times=)" in found.reason
    short, times = with_past(n=100, past=300)
    few = diagnose(line(), short, ASKED, issue_times=times, data_times=short.times)
    assert outcome(few, "T25").outcome == "inconclusive"
    assert "a range needs 8 blocks" in outcome(few, "T25").reason


def test_nothing_that_varies_is_nothing_to_ask():
    source, times = with_past()
    whole = source.whole
    source.whole = whole.with_inputs({m: 0 * x + 3 for m, x in whole.inputs.items()})
    found = diagnose(line(), source, ASKED, issue_times=times, data_times=source.times)
    assert "arrival is asked of channels that vary" in outcome(found, "T25").reason


@pytest.mark.parametrize(("factor", "shift"), [(1000.0, 0.0), (0.5, -40.0), (1.0, 3e4)])
def test_the_distance_does_not_know_the_unit(factor, shift):
    rng = np.random.default_rng(3)

    def sample(count, first):
        times = (first + np.arange(count)) * 86400
        empty = np.zeros((count, 1))
        return Sample({}, times, block_rows(times, 27.0), empty, empty > 0, DiagnosisConfig())

    own, past = sample(300, 500), sample(450, 0)
    now, then = rng.uniform(1, 3, (300, 2)) * 2, rng.uniform(1, 3, (450, 2))
    plain = arrival(own, now, past, then)
    unit = [np.stack([x[:, 0] * factor + shift, x[:, 1] * factor], 1) for x in (now, then)]
    other = arrival(own, unit[0], past, unit[1])
    assert other.distance.value == pytest.approx(plain.distance.value, rel=1e-6)
    assert (other.what, other.p) == (plain.what, pytest.approx(plain.p, rel=1e-6))
    assert other.factor == pytest.approx(plain.factor)
