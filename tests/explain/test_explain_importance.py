"""Replay, occlusion, importance and Shapley values against brute force."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from heliosight.core.errors import NotApplicable
from heliosight.explain.baselines import disc_median
from heliosight.explain.blocks import block_interval
from heliosight.explain.evaluator import Evaluator
from heliosight.explain.frame_rows import stems
from heliosight.explain.importance import (
    attention_weights,
    elements,
    importance,
    modalities,
    shapley,
)
from heliosight.explain.occlusion import ROTATION_DAYS, occlusion, patches, replacement
from heliosight.explain.question import FILLS, ExplainConfig, Question
from heliosight.explain.reference import lamp
from heliosight.explain.replay import remembered_calls
from heliosight.explain.selftest import question_of, self_test
from heliosight.explain.targets import target_named
from heliosight.subject import wrap

SMALL = {"patch": 4, "patch_frames": 2, "series_steps": 2}


def asked(subject, batch, context=None, **config):
    settings = ExplainConfig(**{**SMALL, **config})
    target = target_named(settings.target, subject.spec)
    return Question(Evaluator(subject, target, settings.chunk), batch, context, settings)


@pytest.mark.accuracy
def test_remembered_calls_give_the_full_forward_and_compute_less(subject_of, windows_of):
    subject, batch, other = subject_of(), windows_of(1), windows_of(1, seed=3)
    many = batch.select([0] * 5)
    for t in range(5):
        many.inputs["images"][t, :, t] = other.inputs["images"][0, :, t]
    full, rows = subject.forecast(many), []
    handle = subject.module.cell.gates.register_forward_hook(lambda *a: rows.append(len(a[2])))
    with remembered_calls(subject, batch):
        del rows[:]
        reused = subject.forecast(many)
    handle.remove()
    torch.testing.assert_close(reused, full, rtol=1e-12, atol=1e-12)
    assert rows == [1, 2, 3, 4, 5]
    assert "forward" not in vars(subject.module.cell) and not subject.module._forward_pre_hooks


class WithStem(nn.Module):
    """All frames through one stem, then a sum over frames weighted by their place."""

    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), last)
        self.head = nn.Linear(3, 24)

    def forward(self, batch):
        frames = batch.inputs["images"].transpose(1, 2)
        maps = self.stem(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        place = torch.arange(frames.shape[1]).to(frames)
        return self.head((maps.mean((-2, -1)) * place[None, :, None]).sum(1))


@pytest.mark.accuracy
@pytest.mark.parametrize("last", [nn.Conv2d(3, 3, 1), nn.MaxPool2d(2)])
def test_a_stem_computes_only_frames_that_changed(last, windows_of, toy_spec):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = WithStem(last).double().eval()
    subject, batch, other = wrap(net, toy_spec, parts={}), windows_of(1), windows_of(1, seed=3)
    many = batch.select([0] * 5)
    for t in range(5):
        many.inputs["images"][t, :, t] = other.inputs["images"][0, :, t]
    full, rows = subject.forecast(many), []
    handle = net.stem[0].register_forward_hook(lambda *a: rows.append(len(a[2])))
    with remembered_calls(subject, batch):
        del rows[:]
        reused = subject.forecast(many)
        assert rows == [5]
        two = windows_of(2, seed=5)
        torch.testing.assert_close(subject.forecast(two), subject.raw(two).detach())
        assert subject.score(batch).requires_grad
    handle.remove()
    torch.testing.assert_close(reused, full, rtol=1e-12, atol=1e-12)
    assert "forward" not in vars(net.stem)


@pytest.mark.consistency
def test_what_mixes_rows_is_no_stem():
    plain = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU())
    mixing = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Softmax(0))
    holder = nn.ModuleDict({"a": plain, "b": mixing, "c": nn.Linear(1, 1)})
    assert stems(holder) == [plain, mixing[0]]


@pytest.mark.consistency
def test_remembered_calls_leave_gradients_and_other_windows_alone(subject_of, windows_of):
    subject, batch, other = subject_of(), windows_of(1), windows_of(2, seed=3)
    with remembered_calls(subject, batch):
        torch.testing.assert_close(subject.forecast(other), subject_of().forecast(other))
        assert subject.score(batch).requires_grad
    with pytest.raises(ZeroDivisionError), remembered_calls(subject, batch):
        raise ZeroDivisionError
    assert "forward" not in vars(subject.module.cell)


@pytest.mark.accuracy
def test_occlusion_is_one_full_forward_per_patch(subject_of, windows_of):
    subject, batch = subject_of(), windows_of(1)
    question = asked(subject, batch)
    found, flat = occlusion(question), disc_median(batch)
    whole = float(subject.forecast(batch)[0, :8].mean())
    for patch in list(patches(question))[::7]:
        inputs = {name: x.clone() for name, x in batch.inputs.items()}
        inputs[patch.modality][0][patch.place] = flat.inputs[patch.modality][0][patch.place]
        effect = whole - float(subject.forecast(batch.with_inputs(inputs))[0, :8].mean())
        total = float(found.parts[patch.modality][patch.place].sum())
        assert total == pytest.approx(effect, abs=1e-9)


@pytest.mark.accuracy
def test_occlusion_of_a_linear_model_sums_exactly():
    lit = lamp(0)
    question = question_of(lit, ExplainConfig(target="mean_ap", **SMALL))
    found = occlusion(question)
    change = (lit.batch.inputs["images"] - disc_median(lit.batch).inputs["images"])[0]
    exact = (lit.network.image_weight() * change).sum((0, 2, 3)).reshape(3, 2).sum(1)
    ours = found.parts["images"].sum((0, 2, 3)).reshape(3, 2).sum(1)
    torch.testing.assert_close(ours, exact, rtol=1e-4, atol=1e-4)


@pytest.mark.accuracy
def test_occlusion_passes_the_self_test():
    check = self_test(occlusion, "occlusion")
    assert check.passed, check.reason


@pytest.mark.consistency
@pytest.mark.parametrize("fill", FILLS)
def test_every_fill_is_physical_and_leaves_unobserved_places(fill, subject_of, windows_of):
    batch, context = windows_of(1), windows_of(2, seed=4)
    times = batch.issue_time[0] + torch.tensor([-1, 1]) * int(ROTATION_DAYS * 86400)
    context = type(context)(
        context.inputs, context.observed, times, context.target, context.target_mask
    )
    batch.observed["images"][0, 0, 1] = False
    other = replacement(asked(subject_of(), batch, context, fill=fill))
    x, new = batch.inputs["images"], other.inputs["images"]
    assert torch.equal(new[0, 0, 1], x[0, 0, 1]) and not torch.equal(new, x)
    if fill.startswith("rotation"):
        row = 0 if fill == "rotation_earlier" else 1
        assert torch.equal(new[0, 1], context.inputs["images"][row, 1])
    if fill == "phase_scrambled":
        torch.testing.assert_close(new[0, 1, :2, :4, :4].mean(), x[0, 1, :2, :4, :4].mean())


def test_no_window_a_rotation_away_is_said(subject_of, windows_of):
    with pytest.raises(NotApplicable, match="within a day of it"):
        replacement(asked(subject_of(), windows_of(1), windows_of(3), fill="rotation_later"))


@pytest.mark.accuracy
@pytest.mark.parametrize("axis", ["steps", "variables"])
@pytest.mark.parametrize("modality", ["images", "solar_wind"])
def test_importance_equals_one_replacement_at_a_time(subject_of, windows_of, modality, axis):
    subject, windows = subject_of(), windows_of(2)
    evaluator = Evaluator(subject, target_named("mean_ap", subject.spec))
    items = elements(windows, modality, axis)
    found = importance(evaluator, windows, items, "x", donors=1)
    at = (
        (2 if modality == "images" else 1)
        if axis == "steps"
        else (1 if modality == "images" else 2)
    )
    for k in range(windows.inputs[modality].shape[at]):
        changes = []
        for n in (0, 1):
            x = windows.inputs[modality].clone()
            x.select(at, k)[n] = windows.inputs[modality].select(at, k)[1 - n]
            after = subject.forecast(windows.with_inputs({modality: x}))[n].mean()
            changes.append(float(subject.forecast(windows)[n].mean() - after))
        assert found.value[k] == pytest.approx(np.sqrt(np.mean(np.square(changes))), rel=1e-9)
        assert found.signed[k] == pytest.approx(np.mean(changes), rel=1e-9)
    assert np.isnan(found.low).all()


@pytest.mark.accuracy
def test_importance_of_the_lamp_is_where_it_was_planted():
    lit = lamp(2, windows=13)
    evaluator = question_of(lit, ExplainConfig(target="mean_ap")).evaluator
    frames = importance(evaluator, lit.context, elements(lit.context, "images", "steps"), "frames")
    planted = lit.network.image_weight().sum((0, 2, 3)) != 0
    assert np.array_equal(frames.value > 1e-6, planted.numpy())
    assert np.all(frames.low <= frames.value + 1e-12) and np.all(frames.high >= frames.value)
    names = lit.subject.spec.modalities["images"].variables
    items = elements(lit.context, "images", "variables", names)
    channels = importance(evaluator, lit.context, items, "channels")
    assert channels.labels == names
    assert np.array_equal(channels.value > 1e-6, (lit.network.cell.channel_weight > 0).numpy())


@pytest.mark.accuracy
def test_shapley_values_equal_the_mean_over_orders(subject_of, windows_of):
    subject, window, donor = subject_of(), windows_of(1), windows_of(1, seed=5)
    evaluator = Evaluator(subject, target_named("mean_ap", subject.spec))
    frames = elements(window, "images", "steps")
    players = {"old": frames[:2], "new": frames[2:], "wind": modalities(window)[1:]}
    found = shapley(evaluator, window, donor, players)

    def worth(kept):
        inputs = {name: x.clone() for name, x in window.inputs.items()}
        if "old" not in kept:
            inputs["images"][:, :, :2] = donor.inputs["images"][:, :, :2]
        if "new" not in kept:
            inputs["images"][:, :, 2:] = donor.inputs["images"][:, :, 2:]
        if "wind" not in kept:
            inputs["solar_wind"] = donor.inputs["solar_wind"]
        return float(subject.forecast(window.with_inputs(inputs)).mean())

    slow = dict.fromkeys(players, 0.0)
    for order in itertools.permutations(players):
        for k, name in enumerate(order):
            slow[name] += (worth(order[: k + 1]) - worth(order[:k])) / math.factorial(3)
    assert found == pytest.approx(slow, abs=1e-9)
    assert sum(found.values()) == pytest.approx(worth(tuple(players)) - worth(()), abs=1e-9)


@pytest.mark.accuracy
def test_block_interval_is_wider_than_that_of_single_windows_when_windows_hang_together():
    draw = np.random.default_rng(0)
    level = np.repeat(draw.standard_normal(12), 20)
    times = np.arange(240) * 27 * 86400 // 20
    low, high = block_interval(level, times)
    assert low < level.mean() < high
    assert high - low > 2 * 2 * 1.96 * level.std() / np.sqrt(240)
    alone = block_interval(level[:20], times[:20])
    assert np.isnan(alone[0]) and np.isnan(alone[1])


@pytest.mark.consistency
def test_attention_weights_are_found_and_sum_to_one(windows_of, toy_spec):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(2, 1, batch_first=True)
            self.head = nn.Linear(2, 24)

        def forward(self, batch):
            x = batch.inputs["solar_wind"].float()
            return self.head(self.attention(x, x, x)[0].mean(1))

    subject = wrap(Net(), toy_spec, parts={})
    found = attention_weights(subject, windows_of(2))
    assert list(found) == ["attention"] and found["attention"].shape == (2, 6, 6)


def test_too_few_windows_or_too_many_players_are_refused(subject_of, windows_of):
    subject, batch = subject_of(), windows_of(1)
    evaluator = Evaluator(subject, target_named("mean_ap", subject.spec))
    with pytest.raises(NotApplicable, match="at least two windows"):
        importance(evaluator, batch, modalities(batch), "modalities")
    many = {str(k): modalities(batch) for k in range(11)}
    with pytest.raises(NotApplicable, match="one to ten players"):
        shapley(evaluator, batch, batch, many)
