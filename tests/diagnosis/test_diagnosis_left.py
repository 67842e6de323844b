"""What the forecast leaves: probes learned from other windows, and parts that are too faint."""

import numpy as np
import pytest
import torch
from diagnosis_worlds import CALL, LEADS, SPEC, line, outcome, windows, with_past
from torch import nn

from heliosight.diagnosis import DiagnosisConfig, diagnose, probes
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.left import gain_left, missed, told
from heliosight.diagnosis.sample import Part
from heliosight.subject import examine, wrap

CONFIG = DiagnosisConfig(shifts=8, windows=260)


def evidence_of(subject, past=400, **world):
    source, times = with_past(past=past, **world)
    more = (source, source.times)
    return Evidence(subject, source.batch(times), CONFIG, more=more)


def test_a_probe_learned_from_other_windows_finds_what_few_windows_cannot():
    """60 columns, of which one sum holds 8 % of the target."""
    gained = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x, wind = rng.standard_normal((900, 60)), rng.standard_normal((900, 1))
        signal = 0.29 * x @ rng.standard_normal((60, 1)) / 60**0.5
        y = signal + 0.4 * wind + 0.87 * rng.standard_normal((900, 4))
        times, mask = np.arange(900) * 86400, np.ones((900, 4), bool)
        here, past = slice(660, 900), slice(0, 650)
        said = probes.learned(wind[past], x[past], y[past], mask[past], times[past], x[here])
        for columns in ([said, x[here]], x[here]):
            less = probes.gains(0.4 * wind[here], columns, [y[here]], mask[here], times[here])[0]
            gained.append(less.mean())
    with_past, alone = np.reshape(gained, (4, 2)).mean(0)
    assert with_past > 0.04 > 2 * alone


def test_a_probe_learned_from_other_windows_finds_nothing_where_nothing_is_left():
    with examine(line(image=0.3)) as subject:
        found = gain_left(evidence_of(subject), Part("images"))
    assert found.value < 0.01


def test_what_a_probe_learned_never_comes_from_the_windows_asked_about():
    with examine(line()) as subject:
        evidence = evidence_of(subject)
        past = evidence.past
        assert past.times.max() < evidence.times[0] - 4 * 86400 + 1
        before = told(evidence, Part("images"))
        other = evidence_of(subject)
        other.own_sample.y[:] = 0.0
        assert np.array_equal(before[0], told(other, Part("images"))[0])


@pytest.mark.parametrize(
    ("image", "gain", "faint"),
    [(0.3, 1.0, False), (0.6, 1.0, False), (0.03, 1.0, True), (0.3, 0.3, False), (0.03, 0.3, True)],
)
def test_a_part_is_faint_beside_the_others_and_not_because_the_whole_is(image, gain, faint):
    with examine(line(image=image, wind=0.3, gain=gain)) as subject:
        found = missed(Evidence(subject, windows(n=400), CONFIG))["images"]
    assert (found.faint.p_above(0.01) < 0.05) is faint
    assert (found.fainter.p_above(0.0) < 0.05) is faint


class Listed(nn.Module):
    """A head in a plain list: torch does not know that it is there."""

    def __init__(self, known):
        super().__init__()
        layers = [nn.Linear(2, 3), nn.Linear(3, LEADS)]
        self.layers = nn.ModuleList(layers) if known else layers
        self.eye = nn.Linear(1, 2)

    def forward(self, sdo, omni):
        seen = (sdo.mean((1, 2, 3, 4)) - 120)[:, None] / 20
        z = torch.tanh(self.eye(seen) + omni.mean(1))
        for layer in self.layers:
            z = layer(torch.tanh(z))
        return torch.expm1(2 + 0.1 * z)


@pytest.mark.parametrize("known", [True, False])
def test_weights_that_the_module_does_not_list_are_named(known):
    subject = wrap(Listed(known), SPEC, call=CALL, name="listed")
    found = diagnose(subject, windows(n=40), DiagnosisConfig(checks=("T2", "T5")))
    causes = {f.cause for f in found.findings if f.outcome == "fault"}
    assert causes == (set() if known else {"unregistered_weights"})
    assert outcome(found, "T2").outcome == "healthy"  # asked in float64, hidden weights too
    if not known:
        told = [f.reason for f in found.findings if f.cause == "unregistered_weights"]
        assert len(told) == 1 and all(shape in told[0] for shape in ("3 x 2", f"{LEADS} x 3"))
