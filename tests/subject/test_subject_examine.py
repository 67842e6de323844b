import random

import numpy as np
import pytest
import torch
from subject_worlds import SPEC, batch_of, foreign
from torch import nn

from heliosight.subject import capture_calls, doubled, examine, wrap


def fingerprint(module):
    """Everything that must be bit-identical afterwards."""
    return {
        "state": {k: v.clone() for k, v in module.state_dict().items()},
        "ids": {k: (id(v), v.data_ptr()) for k, v in module.named_parameters()},
        "buffers": {k: id(v) for k, v in module.named_buffers()},
        "grads": {
            k: None if p.grad is None else p.grad.clone() for k, p in module.named_parameters()
        },
        "grad_ids": {k: id(p.grad) for k, p in module.named_parameters() if p.grad is not None},
        "needs": {k: p.requires_grad for k, p in module.named_parameters()},
        "modes": {k: m.training for k, m in module.named_modules()},
        "hooks": {
            k: (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
            for k, m in module.named_modules()
        },
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002
        "torch": torch.get_rng_state(),
        "flags": (
            torch.backends.cuda.matmul.allow_tf32,
            torch.backends.mha.get_fastpath_enabled(),
            torch.backends.cudnn.deterministic,
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
        ),
        "keys": {k: sorted(vars(m)) for k, m in module.named_modules()},
    }


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def violate(module):
    """Everything an examination could break."""
    with torch.no_grad():
        for p in module.parameters():
            p.add_(1.0)
            p.requires_grad_(not p.requires_grad)
        module.norm.running_mean.fill_(7.0)
    for p in module.parameters():
        p.grad = torch.ones_like(p)
    module.train()
    module.head.weight.data = torch.zeros(4, 6, dtype=torch.float64)
    module.extra = torch.zeros(3)
    module.memory.append("left behind")
    module.register_forward_hook(lambda *_: None)
    random.random()
    np.random.rand()  # noqa: NPY002
    torch.rand(3)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("tool", [examine, doubled])
def test_the_subject_is_left_bit_identical(tool, fails):
    subject = foreign()
    module = subject.module
    module.memory = []
    subject.score(batch_of(3)).sum().backward()
    module.head.bias.requires_grad_(False)
    module.wind.eval()
    module.join.register_forward_hook(lambda *_: None)
    before = fingerprint(module)

    def body():
        with tool(subject):
            subject.score(batch_of(3)).sum()
            violate(module)
            if fails:
                raise KeyError("stop")

    if fails:
        with pytest.raises(KeyError, match="stop"):
            body()
    else:
        body()
    after = fingerprint(module)
    for key in before:
        assert same(before[key], after[key]), key
    assert module.memory == []


def test_examine_is_in_eval_with_gradients_even_under_no_grad():
    subject = foreign()
    subject.module.train()
    with torch.no_grad(), examine(subject):
        assert not any(m.training for m in subject.module.modules())
        assert subject.score(batch_of(2)).requires_grad
        assert not torch.backends.mha.get_fastpath_enabled()
    assert subject.module.training


def test_a_kept_state_is_put_back():
    class Keeps(nn.Module):
        def __init__(self):
            super().__init__()
            self.state = torch.zeros(1)

        def forward(self, batch):
            self.state += 1.0
            self.other = self.state * 2
            return self.state.expand(len(batch), SPEC.leads)

    subject = wrap(Keeps(), SPEC)
    with examine(subject):
        subject.forecast(batch_of(2))
    assert float(subject.module.state) == 0.0
    assert not hasattr(subject.module, "other")


def test_doubled_computes_in_float64_even_through_casts():
    class Casts(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(2, 4)
            self.plain = torch.ones(4)

        def forward(self, batch):
            x = batch.inputs["solar_wind"].float().mean(1).to(torch.float32)
            return self.lin(x) + self.plain + torch.zeros(4) + torch.zeros(4, dtype=torch.float32)

    subject = wrap(Casts(), SPEC)
    batch = batch_of(2)
    with doubled(subject):
        wide = subject.forecast(batch.to("cpu", torch.float64))
    narrow = subject.forecast(batch)
    assert (wide.dtype, narrow.dtype) == (torch.float64, torch.float32)
    assert torch.allclose(wide.float(), narrow, atol=1e-6)
    x = batch.inputs["solar_wind"].double().mean(1)
    lin = subject.module.lin
    exact = x @ lin.weight.double().T + lin.bias.double() + 1
    assert torch.allclose(wide, exact, atol=1e-14)


def test_capture_works_inside_examine():
    subject = foreign()
    with examine(subject), capture_calls(subject, "cell.images.0") as calls:
        y = subject.score(batch_of(2))
        grads = torch.autograd.grad(y.sum(), calls.tensors(0))
    assert len(grads) == 5
