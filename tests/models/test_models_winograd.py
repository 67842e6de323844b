"""The compiled ConvLSTM step against eq. 3 in plain torch and in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from heliosight.models import winograd
from heliosight.models.convlstm import ConvLSTM, ConvLSTMCell
from heliosight.models.gates import next_state
from heliosight.models.native import CannotBuild

compiled = pytest.mark.skipif(
    winograd.library() is None, reason="no C++ compiler built the accelerator here"
)


def exact_cell(cell: ConvLSTMCell, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. 3 with the textbook's two convolutions, in the tensors' own type."""
    weight, bias = cell.gates.weight.to(x), cell.gates.bias.to(x)
    n = cell.channels
    z = F.conv2d(x, weight[:, :n], bias, padding=1) + F.conv2d(h, weight[:, n:], padding=1)
    return next_state(z, c, None if cell.peepholes is None else cell.peepholes.to(x))


def make(channels=3, hidden=5, peephole_size=None, seed=0, scale=1.0) -> ConvLSTMCell:
    torch.manual_seed(seed)
    cell = ConvLSTMCell(channels, hidden, 3, peephole_size)
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=scale / (channels + hidden) ** 0.5)
    return cell


def inputs_of(cell: ConvLSTMCell, batch=2, size=(7, 6), seed=1) -> list[Tensor]:
    stream = torch.Generator().manual_seed(seed)
    widths = (cell.channels, cell.hidden, cell.hidden)
    return [torch.randn(batch, n, *size, generator=stream).requires_grad_() for n in widths]


def value_and_gradient(run, inputs, parameters) -> list[Tensor]:
    out = run(*inputs)
    weights = [torch.linspace(-1, 1, o.numel(), dtype=o.dtype).view_as(o) for o in out]
    aim = sum((o * w).sum() for o, w in zip(out, weights, strict=True))
    return [*out, *torch.autograd.grad(aim, [*inputs, *parameters])]


def close(mine: list[Tensor], exact: list[Tensor], near: float) -> None:
    for a, b in zip(mine, exact, strict=True):
        assert float((a - b).detach().abs().max()) <= near * max(1.0, float(b.detach().abs().max()))


def compare(cell: ConvLSTMCell, inputs: list[Tensor], near: float = 1e-5) -> None:
    own = list(cell.parameters())
    fast = value_and_gradient(lambda x, h, c: cell(x, (h, c)), inputs, own)
    wide = [t.detach().double().requires_grad_() for t in inputs]
    exact = value_and_gradient(lambda x, h, c: exact_cell(cell, x, h, c), wide, own)
    close(fast, exact, near)


@compiled
@pytest.mark.accuracy
@pytest.mark.parametrize("peepholes", [False, True])
@pytest.mark.parametrize(
    ("channels", "hidden", "batch", "size"),
    [(3, 64, 1, (64, 64)), (64, 64, 2, (16, 16)), (16, 16, 4, (16, 16)), (2, 9, 3, (1, 5)),
     (1, 1, 1, (1, 1)), (17, 33, 2, (9, 14))],
)  # fmt: skip
def test_equals_the_textbook_in_value_and_gradient(channels, hidden, batch, size, peepholes):
    cell = make(channels, hidden, size if peepholes else None)
    compare(cell, inputs_of(cell, batch, size))


@compiled
@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 20), st.integers(1, 3), st.integers(1, 12),
    st.integers(1, 12), st.booleans(), st.integers(0, 999),
)  # fmt: skip
def test_equals_the_textbook_at_any_size(channels, hidden, batch, rows, columns, peep, seed):
    cell = make(channels, hidden, (rows, columns) if peep else None, seed)
    compare(cell, inputs_of(cell, batch, (rows, columns), seed))


@compiled
def test_extreme_gates_saturate_as_in_torch():
    cell = make(scale=300.0)
    compare(cell, inputs_of(cell), near=2e-4)  # sums of several thousands, rounded in float32
    with torch.no_grad():
        cell.gates.weight.zero_()
        cell.gates.bias.copy_(torch.linspace(-200, 200, 20))
    compare(cell, inputs_of(cell))


@compiled
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_visible(bad):
    cell = make()
    x, h, c = inputs_of(cell)
    with torch.no_grad():
        x[0, 0, 3, 3] = bad
        new_h, _ = cell(x, (h, c))
        want_h, _ = exact_cell(cell, x, h, c)
    assert bool(torch.isnan(new_h[0]).any()) and not bool(torch.isnan(new_h[1]).any())
    assert bool(torch.isnan(want_h[0]).any()) == (bad != bad)  # torch lets an infinity saturate


@compiled
def test_a_whole_run_equals_plain_torch():
    torch.manual_seed(0)
    model = ConvLSTM(3, 12, 2)
    x = torch.randn(2, 9, 3, 10, 8, requires_grad=True)
    found = []
    for fast in (True, False):
        for cell in model.cells:
            cell.accelerate = fast
        run = model(x, trace=True)
        out = run.hidden
        mid = run.trace[3][0][1]  # c of the first layer after frame 3, as an explainer asks for it
        aim = out.square().sum() + out[:, -1].sum()
        found.append([out, *torch.autograd.grad(aim, [x, mid, *model.parameters()])])
    close(found[0], found[1], 1e-5)


@compiled
def test_bits_depend_on_nothing_but_the_numbers(monkeypatch):
    monkeypatch.setattr(winograd, "PRODUCTS_A_THREAD", 1)
    cell, threads = make(16, 24), torch.get_num_threads()
    inputs = inputs_of(cell, 5, (12, 13))
    own = list(cell.parameters())
    found = []
    try:
        for count in (1, 1, 2, 3):
            torch.set_num_threads(count)
            found.append(value_and_gradient(lambda x, h, c: cell(x, (h, c)), inputs, own))
    finally:
        torch.set_num_threads(threads)
    for again in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], again, strict=True))
    x, h, c = (t.detach()[2:3] for t in inputs)
    with torch.no_grad():
        alone = cell(x, (h, c))
    assert torch.equal(alone[0][0], found[0][0][2]) and torch.equal(alone[1][0], found[0][1][2])


@compiled
def test_memory_order_of_the_inputs_does_not_matter():
    cell = make()
    x, h, c = (t.detach() for t in inputs_of(cell))
    plain = cell(x, (h, c))
    strided = torch.randn(2, 7, 6, 3).permute(0, 3, 1, 2).copy_(x)
    again = cell(strided, (h.contiguous(memory_format=torch.channels_last), c))
    assert torch.equal(plain[0], again[0]) and torch.equal(plain[1], again[1])


@compiled
def test_with_and_without_a_graph_the_same_bits():
    cell = make()
    x, h, c = inputs_of(cell)
    with_graph = cell(x, (h, c))[0].detach()
    with torch.no_grad():
        assert torch.equal(cell(x, (h, c))[0], with_graph)
    with torch.inference_mode():
        assert torch.equal(cell(x, (h, c))[0], with_graph)


@compiled
def test_only_wanted_gradients_are_made():
    cell = make().requires_grad_(False)
    x, h, c = inputs_of(cell)
    h, c = h.detach(), c.detach()
    new_h, _ = cell(x, (h, c))
    (dx,) = torch.autograd.grad(new_h.sum(), x)
    want = torch.autograd.grad(exact_cell(cell, x, h, c)[0].sum(), x)[0]
    close([dx], [want], 1e-5)
    h.requires_grad_()
    (dh,) = torch.autograd.grad(cell(x.detach(), (h, c))[1].sum(), h)
    close([dh], [torch.autograd.grad(exact_cell(cell, x, h, c)[1].sum(), h)[0]], 1e-5)


@compiled
def test_a_second_derivative_goes_through_plain_torch():
    cell = make(2, 3, (4, 5))
    inputs = inputs_of(cell, 2, (4, 5))
    x, own = inputs[0], list(cell.parameters())
    found = []
    for run in (lambda x, h, c: cell(x, (h, c)), lambda x, h, c: exact_cell(cell, x, h, c)):
        h, c = run(*inputs)
        h, c = run(x, h, c)  # h depends on x too: each step must keep its own part
        (slope,) = torch.autograd.grad(h.square().sum() + c.sum(), x, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), [*inputs, *own]))
    close(found[0], found[1], 1e-4)


@compiled
def test_a_hook_may_change_the_state_in_place():
    cell = make()
    cell.register_forward_hook(lambda *call: call[2][0].mul_(2))
    x, h, c = inputs_of(cell)
    slopes = []
    for fast in (True, False):
        cell.accelerate = fast
        slopes.append(torch.autograd.grad(cell(x, (h, c)).square().sum(), x)[0])
    close(slopes[:1], slopes[1:], 1e-5)


@compiled
def test_checkpointing_gives_the_same_bits():
    torch.manual_seed(0)
    model = ConvLSTM(2, 8, 2)
    x = torch.randn(2, 7, 2, 8, 8, requires_grad=True)
    found = []
    for piece in (0, 3):
        model.checkpoint_frames = piece
        aim = model(x).hidden.square().sum()
        found.append(torch.autograd.grad(aim, [x, *model.parameters()]))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@compiled
def test_weights_changed_between_two_runs_are_seen():
    torch.manual_seed(0)
    model = ConvLSTM(2, 4)
    x = torch.randn(1, 3, 2, 6, 6)
    before = model(x).hidden
    model.cells[0].gates.weight.data.mul_(2)  # no version counter moves
    after = model(x).hidden
    assert not torch.allclose(before, after)
    model.cells[0].accelerate = False
    close([after], [model(x).hidden], 1e-5)


@compiled
def test_hooks_on_the_cell_see_every_frame_and_their_gradients_agree():
    torch.manual_seed(0)
    model = ConvLSTM(2, 4, 2)
    x = torch.randn(1, 5, 2, 6, 6)
    slopes = []
    for fast in (True, False):
        kept: list[Tensor] = []
        model.cells[1].accelerate = fast
        hooks = [
            model.cells[1].register_forward_hook(lambda *call, kept=kept: kept.append(call[2][0]))
            for _ in range(2)
        ]
        score = model(x).hidden.square().sum()
        slopes.append(torch.autograd.grad(score, kept[::2], retain_graph=True))
        for hook in hooks:
            hook.remove()
        assert len(kept) == 10
    close(list(slopes[0]), list(slopes[1]), 1e-5)


def plain_ways() -> dict:
    cell = make()
    x, h, c = inputs_of(cell)
    even = ConvLSTMCell(3, 5, 5)
    hooked = make()
    hooked.gates.register_forward_hook(lambda *_: None)
    circular = make()
    circular.gates.padding_mode = "circular"
    return {
        "float64": (make().double(), x.double(), h.double(), c.double()),
        "kernel 5": (even, x, h, c),
        "a hook on the gates": (hooked, x, h, c),
        "other padding": (circular, x, h, c),
        "meta": (make().to("meta"), x.to("meta"), h.to("meta"), c.to("meta")),
    }


@compiled
@pytest.mark.parametrize("way", list(plain_ways()))
def test_elsewhere_the_cell_is_plain_torch_to_the_bit(way, monkeypatch):
    cell, x, h, c = plain_ways()[way]
    monkeypatch.setattr(winograd, "step", lambda *_: pytest.fail("the accelerator ran"))
    out = cell(x, (h, c))[0]
    cell.accelerate = False
    assert way == "meta" or torch.equal(out, cell(x, (h, c))[0])


@compiled
def test_it_can_be_turned_off(monkeypatch):
    cell = make()
    x, h, c = inputs_of(cell)
    monkeypatch.setattr(winograd, "step", lambda *_: pytest.fail("the accelerator ran"))
    with monkeypatch.context() as m:
        m.setenv(winograd.SWITCH, "off")
        cell(x, (h, c))
    cell.accelerate = False
    cell(x, (h, c))


@compiled
def test_function_transforms_and_autocast_fall_back():
    cell = make()
    x, h, c = (t.detach() for t in inputs_of(cell))
    slope = torch.func.grad(lambda v: cell(v, (h, c))[0].sum())(x)
    leaf = x.clone().requires_grad_()
    close([slope], [torch.autograd.grad(cell(leaf, (h, c))[0].sum(), leaf)[0]], 1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert not winograd.usable(x, (h, c), cell.gates, None)


@compiled
@pytest.mark.parametrize("wrong", ["channels", "state", "size"])
def test_shapes_that_do_not_fit_are_torch_s_to_refuse(wrong):
    cell = make()
    x, h, c = inputs_of(cell)
    x = x[:, :2] if wrong == "channels" else x[..., :4] if wrong == "size" else x
    c = c[..., :3] if wrong == "state" else c
    with pytest.raises(RuntimeError):
        cell(x, (h, c))


def test_without_a_compiler_it_says_so_once_and_runs_in_torch(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("HELIOSIGHT_QUIET", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    winograd._load.cache_clear()
    try:
        cell = make()
        x, h, c = inputs_of(cell)
        close([cell(x, (h, c))[0]], [exact_cell(cell, x, h, c)[0]], 1e-5)
        cell(x, (h, c))
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1 and "plain torch" in said[0] and "no C++ compiler" in said[0]
        with pytest.raises(CannotBuild, match="accelerator is not available"):
            winograd.step(x, (h, c), cell.gates, None, None)
    finally:
        winograd._load.cache_clear()
