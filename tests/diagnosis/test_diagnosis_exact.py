import pytest
import torch
from diagnosis_worlds import CALL, SPEC, Eye, Net, net, outcome, windows
from torch import nn

from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.subject import wrap

EXACT = DiagnosisConfig(checks=("T2", "T3", "T4", "T5", "T6", "T7"))


@pytest.fixture(scope="module")
def batch():
    return windows(n=12)


def test_a_healthy_net_has_no_structural_fault(batch):
    found = diagnose(net(), batch, EXACT)
    assert {f.check for f in found.findings} == {"T2", "T3", "T4", "T5", "T6", "T7"}
    assert [f for f in found.findings if f.outcome != "healthy"] == []
    assert found.verdict == "No fault found."


PLANTED = [
    ({"wind": "batch_position"}, "T2", "forecast", "batch_leakage"),
    ({"wind": "no_position"}, "T3", "solar_wind", "order_blind"),
    ({"eye": "same_frame"}, "T4", "cell.images.0", "same_frame"),
    ({"eye": "reversed_frames"}, "T4", "cell.images.0", "reversed_frames"),
    ({"eye": "future"}, "T4", "cell.images.0", "future_leak"),
    ({"join": "eye_detached"}, "T5", "images", "detached"),
    ({"join": "eye_dead"}, "T5", "images", "not_connected"),
    ({"eye": "state_detached"}, "T5", "images", "steps_detached"),
    ({"eye": "not_carried"}, "T5", "images", "steps_not_connected"),
    ({"wind": "single_token"}, "T6", "wind.attention", "single_token"),
]


@pytest.mark.parametrize(("fault", "check", "subject", "cause"), PLANTED)
def test_a_planted_fault_is_found_and_named(batch, fault, check, subject, cause):
    finding = outcome(diagnose(net(**fault), batch, EXACT), check, subject)
    assert (finding.outcome, finding.cause) == ("fault", cause), finding
    assert finding.action


def test_a_state_that_is_not_carried_is_found_by_t4(batch):
    findings = diagnose(net(eye="not_carried"), batch, EXACT).findings
    cell = [f for f in findings if f.check == "T4"]
    assert [f.cause for f in cell] == ["", "state_not_carried", ""]


def test_a_detached_state_is_still_carried(batch):
    findings = diagnose(net(eye="state_detached"), batch, EXACT).findings
    assert [f.outcome for f in findings if f.check == "T4"] == ["healthy"] * 3


def test_answers_that_repeat_are_found(batch):
    """Without a state, a cell that is given one frame again and again answers the same."""

    class Stuck(Eye):
        def forward(self, sdo):
            x = (sdo - 120) / 20
            zero = x.new_zeros(len(x), self.cell.hidden, *x.shape[-2:])
            for _ in range(x.shape[1]):
                state = self.cell(x[:, -1], (zero, zero))
            return state[0].mean((2, 3))

    subject = net()
    subject.module.eye.__class__ = Stuck
    found = diagnose(subject, batch, EXACT).findings
    causes = [f.cause for f in found if f.check == "T4"]
    assert causes[0] == "same_frame"
    assert causes[-1] == "same_answer"
    plain = outcome(diagnose(net(), batch, EXACT), "T4")
    assert plain.outcome == "healthy"


def test_the_position_bug_is_both_batch_leakage_and_order_blindness(batch):
    found = diagnose(net(wind="batch_position"), batch, EXACT)
    assert outcome(found, "T2").cause == "batch_leakage"
    assert outcome(found, "T3", "solar_wind").cause == "order_blind"
    assert found.verdict.startswith("Fault: batch leakage")


def test_a_target_that_leaks_is_found(batch):
    class Leaks(nn.Module):
        def forward(self, b):
            return b.target + b.inputs["solar_wind"].mean((1, 2))[:, None]

    found = diagnose(wrap(Leaks(), SPEC), batch, EXACT)
    assert outcome(found, "T7").cause == "future_leak"


def test_a_dead_channel_and_a_dead_weight_are_named(batch):
    class Half(Net):
        def __init__(self):
            super().__init__()
            self.idle = nn.Linear(3, 3)

        def forward(self, sdo, omni):
            return super().forward(sdo * torch.tensor([1.0, 0.0])[:, None, None], omni)

    torch.manual_seed(0)
    found = diagnose(wrap(Half(), SPEC, call=CALL), batch, EXACT)
    images, weights = outcome(found, "T5", "images"), outcome(found, "T5", "weights")
    assert (images.cause, images.value.value) == ("dead_channel", 0.5)
    assert "aia_211" in images.reason
    assert weights.cause == "dead_weights"
    assert "idle.weight" in weights.reason


def test_a_tiny_but_real_order_effect_is_not_called_zero(batch):
    class Faint(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(2, 4)

        def forward(self, b):
            x = b.inputs["solar_wind"]
            return 5 + self.lin(x.mean(1) + 1e-5 * x[:, 0])

    torch.manual_seed(0)
    found = diagnose(wrap(Faint(), SPEC), batch, EXACT)
    assert outcome(found, "T3", "solar_wind").outcome == "healthy"


def test_without_cells_or_attention_the_reason_is_given(batch):
    subject = wrap(lambda b: b.inputs["solar_wind"][:, -1, :1].expand(-1, 4) + 3, SPEC)
    found = diagnose(subject, batch, EXACT)
    assert outcome(found, "T4").outcome == "not_applicable"
    assert "recurrent cell" in outcome(found, "T4").reason
    assert outcome(found, "T6").outcome == "not_applicable"
    assert outcome(found, "T5", "images").cause == "not_connected"


def scaled(factor):
    """The same function: branch features times c, the next weight divided by c."""
    subject = net()
    module = subject.module
    with torch.no_grad():
        module.wind.attention.out_proj.weight *= factor
        module.wind.attention.out_proj.bias *= factor
        module.join.weight[:, 3:] /= factor
    return subject


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_exact_checks_do_not_see_a_rescaled_branch(batch, factor):
    plain = diagnose(net(), batch, EXACT).findings
    changed = diagnose(scaled(factor), batch, EXACT).findings
    assert [(f.check, f.subject, f.outcome) for f in plain] == [
        (f.check, f.subject, f.outcome) for f in changed
    ]
