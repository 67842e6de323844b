"""The ConvLSTM against Shi et al. 2015, eq. 3, written gate by gate."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from heliosight.core.errors import SpecError
from heliosight.models.convlstm import ConvLSTM, ConvLSTMCell

SIZE = (6, 5)


def textbook_cell(cell: ConvLSTMCell, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. 3 with a convolution of its own for every W, and the biases apart."""
    n = cell.channels
    weights, biases = cell.gates.weight.chunk(4), cell.gates.bias.chunk(4)
    pad = cell.gates.kernel_size[0] // 2

    def inner(k: int) -> Tensor:
        from_x = F.conv2d(x, weights[k][:, :n], padding=pad)
        from_h = F.conv2d(h, weights[k][:, n:], padding=pad)
        return from_x + from_h + biases[k][None, :, None, None]

    w_ci, w_cf, w_co = cell.peepholes if cell.peepholes is not None else torch.zeros(3).to(x)
    i = torch.sigmoid(inner(0) + w_ci * c)
    f = torch.sigmoid(inner(1) + w_cf * c)
    c = f * c + i * torch.tanh(inner(2))
    o = torch.sigmoid(inner(3) + w_co * c)
    return o * torch.tanh(c), c


def textbook_run(model: ConvLSTM, x: Tensor) -> Tensor:
    """Layer after layer over all frames, the other way round than the model."""
    frames = list(x.unbind(1))
    for cell in model.cells:
        h = c = torch.zeros(len(x), cell.hidden, *x.shape[-2:], dtype=x.dtype)
        above = []
        for frame in frames:
            h, c = textbook_cell(cell, frame, h, c)
            above.append(h)
        frames = above
    return torch.stack(frames, 1)


def gradients(run, model: ConvLSTM, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    out = run(model, x)
    aim = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    return list(torch.autograd.grad((out * aim).sum(), [x, *model.parameters()]))


def make(layers: int, peepholes: bool, kernel: int = 3, dtype=torch.float64) -> ConvLSTM:
    torch.manual_seed(4)
    model = ConvLSTM(2, 3, layers, kernel, peephole_size=SIZE if peepholes else None)
    for cell in model.cells:
        if cell.peepholes is not None:
            torch.nn.init.normal_(cell.peepholes)
    return model.to(dtype)


def frames(dtype=torch.float64, steps: int = 7) -> Tensor:
    stream = torch.Generator().manual_seed(5)
    return torch.randn(2, steps, 2, *SIZE, generator=stream, dtype=torch.float64).to(dtype)


@pytest.mark.accuracy
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("peepholes", [False, True])
@pytest.mark.parametrize(("layers", "kernel"), [(1, 3), (3, 3), (2, 1), (1, 5)])
def test_equals_the_textbook_in_value_and_gradient(layers, kernel, peepholes, dtype, near):
    model, x = make(layers, peepholes, kernel, dtype), frames(dtype)
    assert torch.allclose(model(x).hidden, textbook_run(model, x), rtol=0, atol=near)
    ours = gradients(lambda m, v: m(v).hidden, model, x)
    for mine, theirs in zip(ours, gradients(textbook_run, model, x), strict=True):
        scale = max(1.0, float(theirs.abs().max()))
        assert torch.allclose(mine, theirs, rtol=0, atol=near * scale)


def test_runs_on_from_a_saved_state():
    model, x = make(2, True), frames()
    whole = model(x, trace=True)
    for cut in (1, 3, 6):
        rest = model(x[:, cut:], whole.trace[cut - 1])
        assert torch.equal(rest.hidden, whole.hidden[:, cut:])
        for (h, c), (h2, c2) in zip(rest.state, whole.state, strict=True):
            assert torch.equal(h, h2) and torch.equal(c, c2)


def test_gives_every_frame_and_the_last():
    model, x = make(2, False), frames()
    out = model(x, trace=True)
    assert out.hidden.shape == (2, 7, 3, *SIZE)
    assert torch.equal(out.hidden[:, -1], out.state[-1][0])
    assert len(out.trace) == 7 and len(out.trace[0]) == 2
    assert model(x).trace == ()


def test_a_cell_is_called_once_a_frame_with_what_it_left():
    model, x = make(2, False), frames()
    calls: list[tuple] = []
    handle = model.cells[1].register_forward_hook(lambda _, args, out: calls.append((args, out)))
    model(x)
    handle.remove()
    assert len(calls) == 7
    for earlier, later in pairwise(calls):
        assert later[0][1][0] is earlier[1][0] and later[0][1][1] is earlier[1][1]


def test_the_state_is_carried():
    model, x = make(1, False), frames()
    changed = x.clone()
    changed[:, 0] += 1
    assert not torch.allclose(model(x).hidden[:, -1], model(changed).hidden[:, -1])


def test_chrono_bias_spreads_memory_up_to_its_length():
    torch.manual_seed(0)
    cell = ConvLSTMCell(2, 400)
    cell.reset_forget_bias("chrono", 28)
    bias = cell.gates.bias.detach()
    forget = bias[400:800]
    constant = 1 / (1 - torch.sigmoid(forget))
    assert torch.equal(bias[:400], -forget)
    assert constant.min() >= 2 and constant.max() <= 28
    assert abs(float(constant.mean()) - 15) < 1


@pytest.mark.parametrize(("kind", "value"), [("one", 1.0), ("zero", 0.0)])
def test_constant_forget_bias(kind, value):
    cell = ConvLSTMCell(2, 4)
    cell.reset_forget_bias(kind, 28)
    assert torch.equal(cell.gates.bias[4:8], torch.full((4,), value))
    assert torch.equal(cell.gates.bias[:4], torch.zeros(4))


def test_chrono_bias_keeps_the_first_frame_in_reach():
    reach = {}
    for kind in ("chrono", "zero"):
        torch.manual_seed(1)
        x = torch.randn(1, 28, 2, *SIZE, dtype=torch.float64, requires_grad=True)
        model = ConvLSTM(2, 16, forget_bias=kind, memory=28).double()
        grad = torch.autograd.grad(model(x).hidden[:, -1].square().sum(), x)[0]
        reach[kind] = float(grad[:, 0].norm() / grad[:, -1].norm())
    assert reach["chrono"] > 100 * reach["zero"]


@pytest.mark.parametrize("piece", [1, 3, 7])
def test_checkpointing_changes_nothing_but_memory(piece):
    model, x = make(2, True), frames()
    plain = gradients(lambda m, v: m(v).hidden, model, x)
    model.checkpoint_frames = piece
    again = gradients(lambda m, v: m(v).hidden, model, x)
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))


def test_a_state_of_another_depth_is_refused():
    model, x = make(2, False), frames()
    state = model(x).state
    with pytest.raises(SpecError, match="one \\(h, c\\) a layer"):
        model(x, state[:1])
