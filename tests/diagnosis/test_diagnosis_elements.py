import numpy as np
import pytest
import torch
from diagnosis_worlds import CALL, SPEC, T, line, net, outcome, windows
from torch import nn

from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.diagnosis.elements import profile
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.fusion import _fused, _share
from heliosight.diagnosis.memory import gradient_kernel, horizon, reset_effect
from heliosight.diagnosis.use import use_of
from heliosight.subject import examine, wrap


def only(*checks):
    return DiagnosisConfig(checks=checks)


@pytest.fixture(scope="module")
def batch():
    return windows(n=400)


def test_each_channel_is_judged(batch):
    found = diagnose(line(), batch, only("T11"))
    by = {f.subject: f for f in found.findings}
    assert set(by) == {
        "images/aia_193", "images/aia_211", "solar_wind/speed", "solar_wind/density",
    }  # fmt: skip
    assert by["solar_wind/speed"].outcome == "healthy"
    assert by["solar_wind/density"].outcome in ("benign_unused", "inconclusive")
    assert by["solar_wind/density"].value.value == pytest.approx(0.0, abs=1e-6)


def test_a_constant_and_a_copied_channel_are_faults(batch):
    x = batch.inputs["images"].clone()
    x[:, 1] = x[:, 0]
    w = batch.inputs["solar_wind"].clone()
    w[..., 1] = 3.0
    found = diagnose(line(), batch.with_inputs({"images": x, "solar_wind": w}), only("T11"))
    assert outcome(found, "T11", "images/aia_211").cause == "duplicate_channel"
    assert outcome(found, "T11", "solar_wind/density").cause == "constant_channel"
    assert outcome(found, "T11", "solar_wind/speed").outcome == "healthy"


def test_half_the_rows_give_the_same_gain(batch):
    subject = line()
    with examine(subject):
        evidence = Evidence(subject, batch, DiagnosisConfig())
        full = evidence.shifted["images"]
        half = full.copy()
        half[:, 1::2] = np.nan
        a, b = use_of(evidence, full), use_of(evidence, half)
    assert b.gain.value == pytest.approx(a.gain.value, abs=0.08)
    assert b.share.value == pytest.approx(a.share.value, rel=0.2)


def test_the_profile_finds_the_frame_that_is_used(batch):
    subject = line(frame=2)
    with examine(subject):
        p = profile(Evidence(subject, batch, DiagnosisConfig()), "images")
    assert p.steps == tuple(range(T))
    assert int(np.argmax(p.share)) == 2
    assert sum(np.delete(p.share, 2)) == pytest.approx(0.0, abs=1e-6)
    assert p.reach == T - 2


class Sums(nn.Module):
    """Uses all frames alike or the last alone, and the newest speed."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.gain = kind, nn.Parameter(torch.tensor(0.3))

    def forward(self, sdo, omni):
        a = (sdo.mean((2, 3, 4)) - 120) / 20
        a = {"last": a[:, -1], "mean": a.mean(1), "order": (a * torch.arange(T)).mean(1)}[self.kind]
        return torch.expm1(2 + self.gain * (a + omni[:, -1, 0]))[:, None].expand(-1, 4)


def sums(kind):
    return wrap(Sums(kind), SPEC, call=CALL, parts={})


def test_last_frame_only_is_a_fault_where_older_frames_matter():
    base = windows(n=500, noise=0.3)
    # the target follows the oldest frame, the model the newest
    old = base.inputs["images"].flip(2)
    found = diagnose(sums("last"), base.with_inputs({"images": old}), only("T12"))
    finding = outcome(found, "T12", "images")
    assert (finding.outcome, finding.cause) == ("fault", "short_sight")


def test_last_frame_only_is_fine_where_nothing_older_matters():
    found = diagnose(sums("last"), windows(n=800, noise=0.2), only("T12"))
    assert outcome(found, "T12", "images").outcome in ("healthy", "inconclusive")
    assert not [f for f in found.findings if f.outcome == "fault"]


def test_a_model_that_uses_all_frames_is_healthy(batch):
    assert (
        outcome(diagnose(sums("order"), batch, only("T12")), "T12", "images").outcome == "healthy"
    )


def test_reach_and_static_effect_have_their_known_values(batch):
    subject = sums("mean")
    with examine(subject):
        evidence = Evidence(subject, batch, DiagnosisConfig())
        p = profile(evidence, "images")
    assert p.reach >= T - 1
    assert p.shuffled.value == pytest.approx(0.0, abs=1e-9)
    assert p.static.value > 0.01


@pytest.mark.parametrize(
    ("eye", "cause"),
    [("not_carried", "state_not_carried"), ("state_detached", "state_detached"), ("", "")],
)
def test_memory_signatures(batch, eye, cause):
    finding = outcome(diagnose(net(eye=eye), batch, only("T13")), "T13", "cell.images.0")
    assert finding.cause == cause
    assert (finding.outcome == "fault") == bool(cause)


def forgetful(bias):
    subject = net()
    with torch.no_grad():
        subject.module.eye.cell.conv.bias[3:6] = bias
        subject.module.eye.cell.conv.weight[:, 2:] *= 0.0 if bias < 0 else 1.0
        subject.module.join.weight[:, :3] *= 20
    return subject


def test_a_forgetful_cell_is_vanishing_where_older_frames_matter():
    base = windows(n=500, noise=0.3)
    old = base.inputs["images"].flip(2)
    found = diagnose(forgetful(-9.0), base.with_inputs({"images": old}), only("T13"))
    finding = outcome(found, "T13")
    assert (finding.outcome, finding.cause) == ("fault", "vanishing_state")
    assert finding.value.value < 1.0


def test_a_remembering_cell_is_healthy(batch):
    finding = outcome(diagnose(forgetful(3.0), batch, only("T13")), "T13")
    assert finding.outcome == "healthy"


def test_horizon_of_a_known_decay():
    kernel = np.exp(-2 * np.arange(10)[::-1] / 3.0)
    assert horizon(kernel) == pytest.approx(3.0)
    assert horizon(np.ones(10)) == 100.0
    assert horizon(np.zeros(4)) == 0.0


def test_reset_equals_running_by_hand(batch):
    subject = net()
    cell = subject.module.eye.cell

    def by_hand(b):
        x = (b.inputs["images"].permute(0, 2, 1, 3, 4) - 120) / 20
        zero = x.new_zeros(len(x), 3, 8, 8)
        state = (zero, zero)
        for t in range(T):
            state = cell(x[:, t], (zero, zero) if t == 3 else state)
        return state[0].mean((2, 3))

    with examine(subject), torch.no_grad():
        evidence = Evidence(subject, batch, DiagnosisConfig())
        found = reset_effect(evidence, "cell.images.0", 3).value
        few = batch.select(torch.as_tensor(evidence.spread(64)))
        joined = torch.cat([by_hand(few), subject.module.wind(few.inputs["solar_wind"])], 1)
        y = torch.expm1(2 + subject.module.head(torch.tanh(subject.module.join(joined))))
        plain = evidence.forecast
    moved = (np.log1p(y.double().numpy()) - np.log1p(subject.forecast(few).double().numpy())) ** 2
    assert found == pytest.approx(moved.mean() / 2 / plain.var(0).mean(), rel=1e-3)


class Scaled(nn.Module):
    """The same cell with states k times as large, undone where they are used."""

    def __init__(self, cell, factor):
        super().__init__()
        self.cell, self.factor, self.hidden = cell, factor, cell.hidden

    def forward(self, x, state):
        h, c = self.cell(x, tuple(s / self.factor for s in state))
        return h * self.factor, c * self.factor


@pytest.mark.parametrize("factor", [1e-2, 1e2])
def test_memory_does_not_see_a_rescaled_state(batch, factor):
    def numbers(k):
        subject = net()
        eye = subject.module.eye
        eye.cell = Scaled(eye.cell, k)
        with torch.no_grad():
            subject.module.join.weight[:, :3] /= k
        subject = wrap(subject.module, SPEC, call=CALL, parts={"cell.images.0": eye.cell})
        with examine(subject):
            evidence = Evidence(subject, batch, DiagnosisConfig())
            kernel = gradient_kernel(evidence, "cell.images.0")[0]
            return horizon(kernel), reset_effect(evidence, "cell.images.0", 3).value

    assert numbers(factor) == pytest.approx(numbers(1.0), rel=1e-3)


def test_balance_and_gates(batch):
    found = diagnose(net(), batch, only("T14", "T15"))
    assert outcome(found, "T14", "images").value.value > 0
    assert outcome(found, "T14", "solar_wind").outcome == "healthy"
    assert outcome(found, "T15").outcome == "not_applicable"


@pytest.mark.parametrize("factor", [1e-2, 1e2])
def test_balance_does_not_see_a_rescaled_branch(batch, factor):
    def share(subject):
        with examine(subject):
            evidence = Evidence(subject, batch, DiagnosisConfig())
            plain, sizes = _fused(evidence, None)
            return _share(evidence, "solar_wind", plain).value, sizes["solar_wind"]

    changed = net()
    with torch.no_grad():
        changed.module.wind.attention.out_proj.weight *= factor
        changed.module.wind.attention.out_proj.bias *= factor
        changed.module.join.weight[:, 3:] /= factor
    (a, size_a), (b, size_b) = share(net()), share(changed)
    assert b == pytest.approx(a, rel=1e-3)
    assert size_b == pytest.approx(size_a * factor, rel=1e-3)


def test_a_branch_lost_at_the_fusion_is_named(batch):
    subject = net()
    with torch.no_grad():
        subject.module.join.weight[:, :3] *= 1e-4
    finding = outcome(diagnose(subject, batch, only("T14")), "T14", "images")
    assert finding.outcome == "inconclusive"
    assert "lost at the fusion" in finding.reason


class Gated(nn.Module):
    def __init__(self, static):
        super().__init__()
        self.gate = nn.Linear(2, 1)
        self.head = nn.Linear(2, 4)
        with torch.no_grad():
            self.gate.weight.fill_(0.0 if static else 2.0)

    def forward(self, sdo, omni):
        a = (sdo[:, -1].mean((1, 2, 3)) - 120)[:, None] / 20
        g = torch.sigmoid(self.gate(omni[:, -1]))
        return torch.expm1(2 + 0.1 * self.head(torch.cat([g * a, (1 - g) * omni[:, -1, :1]], 1)))


@pytest.mark.parametrize(("static", "expected"), [(True, "benign_unused"), (False, "healthy")])
def test_a_static_gate_is_told_from_one_that_looks(batch, static, expected):
    torch.manual_seed(0)
    subject = wrap(Gated(static), SPEC, call=CALL)
    assert outcome(diagnose(subject, batch, only("T15")), "T15").outcome == expected
