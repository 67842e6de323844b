import pytest
import torch
from subject_worlds import batch_of, foreign

from heliosight.core.errors import SubjectError
from heliosight.subject import capture_calls, change_inputs, change_outputs, replaced


def by_hand(subject, batch):
    """The slow twin: unrolls the cell with every state kept by hand."""
    eye, x = subject.module.eye, batch.inputs["images"].permute(0, 2, 1, 3, 4)
    h = x.new_zeros(len(batch), 3, 8, 8)
    state, hs = (h, h), []
    for t in range(x.shape[1]):
        h, state = eye.cell(x[:, t] / 255 - 0.5, state)
        hs.append(h)
    return hs


def test_every_call_is_kept_in_order():
    subject, batch = foreign(), batch_of(2)
    with capture_calls(subject, "cell.images.0") as calls:
        subject.score(batch)
    assert len(calls) == 5
    for t, (mine, theirs) in enumerate(zip(calls.tensors(0), by_hand(subject, batch), strict=True)):
        assert torch.allclose(mine, theirs), t
    h, (again, c) = calls.outputs[3]
    assert h is again
    assert torch.allclose(c, sum(calls.tensors(0)[:4]), atol=1e-6)
    assert torch.equal(calls.inputs[2][0], batch.inputs["images"][:, :, 2] / 255 - 0.5)


def test_one_backward_gives_the_gradient_at_all_calls():
    subject, batch = foreign(), batch_of(2)
    with capture_calls(subject, "cell.images.0") as calls:
        y = subject.score(batch)
    grads = torch.autograd.grad(y.sum(), calls.tensors(0))
    assert all(g.abs().sum() > 0 for g in grads)
    # central difference at call 2, float64
    step = 1e-3
    direction = torch.randn(grads[2].shape, generator=torch.Generator().manual_seed(0))

    def moved(sign):
        def change(index, output):
            if index != 2:
                return output
            h = output[0] + sign * step * direction
            return h, (h, output[1][1])

        with change_outputs(subject, "cell.images.0", change):
            return subject.forecast(batch).double().sum()

    slope = (moved(1) - moved(-1)) / (2 * step)
    assert float(slope) == pytest.approx(float((grads[2] * direction).sum()), rel=2e-2)


def test_frozen_weights_still_give_gradients_at_calls():
    subject, batch = foreign(), batch_of(2)
    for p in subject.module.parameters():
        p.requires_grad_(False)
    with capture_calls(subject, "cell.images.0") as calls:
        y = subject.score(batch)
    assert all(g.abs().sum() > 0 for g in torch.autograd.grad(y.sum(), calls.tensors(0)))


def test_change_inputs_resets_the_state_at_one_call():
    subject, batch = foreign(), batch_of(2)
    plain = subject.forecast(batch)

    def reset(index, args, kwargs):
        if index != 3:
            return args, kwargs
        return (args[0], tuple(torch.zeros_like(s) for s in args[1])), kwargs

    with change_inputs(subject, "cell.images.0", reset):
        first, second = subject.forecast(batch), subject.forecast(batch)
    assert torch.equal(first, second)
    assert not torch.equal(first, plain)
    assert torch.equal(subject.forecast(batch), plain)


@pytest.mark.parametrize("tool", [capture_calls, change_inputs, change_outputs])
def test_hooks_go_even_after_an_exception(tool):
    subject = foreign()
    _ = subject.parts

    def body():
        extra = () if tool is capture_calls else (lambda *a: a[1:] if len(a) == 3 else a[1],)
        with tool(subject, "cell.images.0", *extra):
            subject.forecast(batch_of(2))
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        body()
    for module in subject.module.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_parts_by_path_module_and_wrong_name():
    subject, batch = foreign(), batch_of(2)
    with (
        capture_calls(subject, "eye.cell") as one,
        capture_calls(subject, subject.module.head) as two,
    ):
        subject.score(batch)
    assert (len(one), len(two)) == (5, 1)
    with (
        pytest.raises(SubjectError, match="a part is a role or a path"),
        capture_calls(subject, "cel"),
    ):
        pass


def test_a_missing_output_is_refused():
    subject = foreign()
    with capture_calls(subject, "head") as calls:
        subject.score(batch_of(2))
    with pytest.raises(SubjectError, match="gives the tensor asked for"):
        calls.tensors(1)


def test_a_replaced_part_does_not_run_and_comes_back():
    subject, batch = foreign(), batch_of(2)
    plain = subject.forecast(batch)
    with capture_calls(subject, "encoder.images") as calls:
        subject.forecast(batch)
    other = calls.outputs[0] + 1
    run = capture_calls(subject, "cell.images.0")
    with run as cells, replaced(subject, "encoder.images", other):
        assert not torch.equal(subject.forecast(batch), plain)
        with replaced(subject, "encoder.images", calls.outputs[0]):
            assert torch.equal(subject.forecast(batch), plain)
        assert not torch.equal(subject.forecast(batch), plain)
    assert len(cells) == 0
    assert torch.equal(subject.forecast(batch), plain)
    assert "forward" not in vars(subject.module.eye)
