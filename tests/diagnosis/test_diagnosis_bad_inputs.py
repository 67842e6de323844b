"""Subjects that misbehave: a refusal or a finding that says why; the other checks still run.

And whatever happens on the way, the subject is left as it was found.
"""

import random

import numpy as np
import pytest
import torch
from diagnosis_worlds import CALL, SPEC, Net, net, outcome, windows
from torch import nn

from heliosight.core.errors import SubjectError
from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.subject import wrap

QUICK = DiagnosisConfig(level="quick")
STANDARD = DiagnosisConfig(shifts=2, subset=4)
BESIDE = DiagnosisConfig(shifts=2, subset=4, checks=("T2", "T8", "T9", "T14", "T12", "T20"))


class Sick(nn.Module):
    """A sound network with one habit."""

    def __init__(self, habit):
        super().__init__()
        torch.manual_seed(1)
        self.inner, self.habit, self.count = Net(), habit, 0

    def forward(self, sdo, omni):
        if self.habit == "needs_gpu":
            sdo = sdo.cuda()
        if self.habit == "writes_to_its_input":
            omni.mul_(0.5)
        if self.habit == "random":
            omni = omni + 0.1 * torch.randn(omni.shape)
        y = self.inner(sdo, omni)
        if self.habit == "wrong_shape":
            return y[:, :2]
        if self.habit == "no_tensor":
            return [y]
        if self.habit == "some_nan":
            return y.masked_fill((omni[:, -1, :1] > 1.5), float("nan"))
        return y


def sick(habit, **kwargs):
    return wrap(Sick(habit), SPEC, call=CALL, name=habit, **kwargs)


@pytest.fixture(scope="module")
def batch():
    return windows(n=260)


@pytest.mark.parametrize(
    ("habit", "said"),
    [
        ("wrong_shape", r"a forecast is \(windows, leads\).*\(\d, 2\) instead of \(\d, 4\)"),
        ("needs_gpu", "a subject runs on a batch of its specification.*(CUDA|NVIDIA|cuda)"),
        ("no_tensor", "a tensor, a ModelOutput or a mapping.*list.*Pass `output=`"),
    ],
)
def test_without_a_forecast_it_is_refused(batch, habit, said):
    with pytest.raises(SubjectError, match=said):
        diagnose(sick(habit), batch, QUICK)


@pytest.mark.parametrize(
    ("habit", "said"),
    [
        ("writes_to_its_input", "changes its input 'solar_wind' in place"),
        ("random", "something is random"),
        ("some_nan", "windows are not"),
    ],
)
def test_a_habit_is_told_and_the_other_checks_run(batch, habit, said):
    before = {m: x.clone() for m, x in batch.inputs.items()}
    found = diagnose(sick(habit), batch, QUICK)
    reasons = [f.reason for f in found.findings if f.check == "SUBJECT"]
    told = reasons + [f.reason for f in found.findings if f.outcome == "inconclusive"]
    assert any(said in reason for reason in told), told
    assert all(torch.equal(batch.inputs[m], x) for m, x in before.items())
    assert len({f.check for f in found.findings}) > 5
    assert not [f for f in found.findings if "check failed" in f.reason]
    if habit == "writes_to_its_input":
        assert outcome(found, "T2").outcome == "healthy"
        assert outcome(found, "T4").outcome == "healthy"


def test_few_windows_abstain_and_exact_checks_answer():
    found = diagnose(net(), windows(n=30), STANDARD)
    assert outcome(found, "T2").outcome == "healthy"
    for check in ("T8", "T9", "T20"):
        assert outcome(found, check).outcome == "inconclusive"
        assert "Give windows spread over a longer time" in outcome(found, check).reason


def test_part_names_that_match_nothing(batch):
    module = Net()
    with pytest.raises(SubjectError, match=r"parts are modules of the subject.*fusion"):
        wrap(module, SPEC, call=CALL, parts={"fusion": nn.Linear(2, 2)})
    parts = {"encoder.image": module.eye, "fusion": module.join}
    found = diagnose(wrap(module, SPEC, call=CALL, parts=parts), batch, QUICK)
    said = outcome(found, "SUBJECT").reason
    assert "'encoder.image' names no modality; there are: images, solar_wind" in said
    assert outcome(found, "T3", "images").outcome == "healthy"
    assert outcome(found, "T4").outcome == "not_applicable"
    assert "needs a recurrent cell" in outcome(found, "T4").reason


class Tires(nn.Module):
    """Fails from its k-th forward on, after having used random numbers."""

    def __init__(self, after):
        super().__init__()
        torch.manual_seed(2)
        self.inner, self.after = Net(), after
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, sdo, omni):
        torch.rand(3), random.random(), np.random.rand()  # noqa: NPY002 - what it must not disturb
        self.seen += 1
        if self.seen > self.after:
            raise ValueError("tired")
        return self.inner(sdo, omni)


@pytest.mark.parametrize(("after", "workers"), [(1, 1), (6, 1), (45, 2), (10**9, 2)])
def test_it_is_left_bit_identical_even_when_it_fails(batch, after, workers):
    module = Tires(after).train()
    module.inner.join.weight.requires_grad_(False)
    module.inner.head.weight.grad = torch.ones_like(module.inner.head.weight)
    handle = module.inner.register_forward_hook(lambda *_: None)
    state = {k: v.clone() for k, v in module.state_dict().items()}
    kept = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    flags = (torch.get_default_dtype(), torch.backends.mha.get_fastpath_enabled(),
             torch.get_num_threads(), torch.is_grad_enabled())  # fmt: skip
    config = BESIDE if after > 10**6 else QUICK
    try:
        diagnose(wrap(module, SPEC, call=CALL), batch, config, workers=workers)
    except SubjectError as error:
        assert "tired" in str(error)
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())
    assert all(m.training for m in module.modules())
    assert not module.inner.join.weight.requires_grad
    assert torch.equal(module.inner.head.weight.grad, torch.ones_like(module.inner.head.weight))
    assert len(module.inner._forward_hooks) == 1 and not module._forward_hooks
    assert not any("forward" in vars(m) for m in module.modules())
    assert random.getstate() == kept[0]
    assert np.array_equal(np.random.get_state()[1], kept[1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), kept[2])
    assert flags == (torch.get_default_dtype(), torch.backends.mha.get_fastpath_enabled(),
                     torch.get_num_threads(), torch.is_grad_enabled())  # fmt: skip
    handle.remove()


def test_checks_side_by_side_find_the_same(batch):
    def answers(workers):
        found = diagnose(net(), batch, BESIDE, workers=workers)
        return [(f.check, f.subject, f.outcome, f.cause, f.value) for f in found.findings]

    one, two = answers(1), answers(2)
    assert [a[:4] for a in one] == [b[:4] for b in two]
    for a, b in zip(one, two, strict=True):
        assert (a[4] is None) == (b[4] is None)
        assert a[4] is None or b[4].value == pytest.approx(a[4].value, rel=1e-4, abs=1e-6)


def test_a_subject_that_cannot_be_copied_is_diagnosed_one_check_at_a_time(batch):
    class Unique(Net):
        def __deepcopy__(self, memo):
            raise TypeError("there is only one of me")

    config = DiagnosisConfig(checks=("T14", "T20"), shifts=2)
    found = diagnose(wrap(Unique(), SPEC, call=CALL), batch, config, workers=2)
    assert not [f.reason for f in found.findings if "the check failed" in f.reason]
