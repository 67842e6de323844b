"""Gradient methods against Captum, against exact linear answers, and their completeness."""

import pytest
import torch

from heliosight.core.errors import ConfigError, NotApplicable
from heliosight.explain.attribution import channel_profile, relative_gap, temporal_profile
from heliosight.explain.baselines import baseline_named, disc_median
from heliosight.explain.disc import disc_mask
from heliosight.explain.evaluator import Evaluator, evaluator_for, floating
from heliosight.explain.gradients import (
    expected_gradients,
    gradient_x_input,
    integrated_gradients,
    smooth_grad,
)
from heliosight.explain.question import ExplainConfig, Question
from heliosight.explain.reference import lamp
from heliosight.explain.selftest import question_of
from heliosight.explain.targets import target_named

METHODS = (integrated_gradients, expected_gradients, gradient_x_input, smooth_grad)


def question(subject, batch, context=None, **config):
    settings = ExplainConfig(**config)
    target = target_named(settings.target, subject.spec)
    return Question(Evaluator(subject, target, settings.chunk), batch, context, settings)


@pytest.mark.accuracy
def test_integrated_gradients_agree_with_captum(subject_of, windows_of):
    from captum.attr import IntegratedGradients

    subject, batch = subject_of(), windows_of(1)
    target = target_named("mean_ap_day1", subject.spec)
    base = disc_median(batch)

    def forward(images, series):
        count = len(images)
        inputs = {"images": images, "solar_wind": series}
        return target.value(subject, batch.select([0] * count).with_inputs(inputs))

    oracle = IntegratedGradients(forward, multiply_by_inputs=True).attribute(
        tuple(batch.inputs.values()), tuple(base.inputs.values()), n_steps=64
    )
    ours = integrated_gradients(question(subject, batch, steps=128))
    for name, theirs in zip(batch.inputs, oracle, strict=True):
        torch.testing.assert_close(ours.parts[name], theirs[0], rtol=1e-3, atol=1e-6)


@pytest.mark.accuracy
def test_completeness_gap_falls_as_the_square_of_the_steps(subject_of, windows_of):
    found = integrated_gradients(question(subject_of(), windows_of(1), steps=8, chunk=5))
    assert list(found.gaps) == [8, 16]
    assert found.gaps[16] < 0.35 * found.gaps[8] < 0.1
    assert found.gap() == pytest.approx(found.gaps[16])


@pytest.mark.accuracy
@pytest.mark.parametrize("method", [integrated_gradients, gradient_x_input, smooth_grad])
def test_linear_model_gives_weight_times_change_exactly(method):
    lit = lamp(1)
    asked = question_of(lit, ExplainConfig(target="mean_ap", steps=2, samples=3))
    found = method(asked)
    change = (lit.batch.inputs["images"] - disc_median(lit.batch).inputs["images"])[0]
    exact = lit.network.image_weight() * change
    torch.testing.assert_close(found.parts["images"], exact, rtol=1e-5, atol=1e-7)


@pytest.mark.accuracy
@pytest.mark.parametrize("method", METHODS)
def test_an_unseen_modality_gets_exactly_zero(method, net_of, windows_of, toy_spec):
    from heliosight.subject import wrap

    net = net_of()

    def blind(module, batch):
        nothing = torch.zeros_like(batch.inputs["solar_wind"])
        return module(batch.with_inputs({"solar_wind": nothing}))

    subject = wrap(net, toy_spec, call=blind, parts={})
    found = method(question(subject, windows_of(1), windows_of(3, seed=1), steps=2, samples=3))
    assert torch.equal(found.parts["solar_wind"], torch.zeros_like(found.parts["solar_wind"]))
    assert found.parts["images"].abs().sum() > 0


@pytest.mark.consistency
@pytest.mark.parametrize("method", METHODS)
def test_chunks_do_not_change_the_answer(method, subject_of, windows_of):
    batch, context = windows_of(1), windows_of(4, seed=1)
    one = method(question(subject_of(), batch, context, steps=3, samples=5, chunk=1))
    many = method(question(subject_of(), batch, context, steps=3, samples=5, chunk=16))
    for name in one.parts:
        torch.testing.assert_close(one.parts[name], many.parts[name], rtol=1e-9, atol=1e-12)


@pytest.mark.accuracy
def test_expected_gradients_sum_to_the_difference_from_the_mean(subject_of, windows_of):
    found = expected_gradients(
        question(subject_of(), windows_of(1), windows_of(4, seed=1), samples=256, chunk=64)
    )
    assert found.gap() < 0.05


@pytest.mark.consistency
@pytest.mark.parametrize("method", METHODS)
def test_unobserved_places_contribute_nothing(method, subject_of, windows_of):
    batch, context = windows_of(1), windows_of(3, seed=1)
    seen = {name: mask.clone() for name, mask in batch.observed.items()}
    seen["images"][0, 1, 2] = False
    seen["solar_wind"][0, 3, 0] = False
    images, series = (x.clone() for x in batch.inputs.values())
    images[0, 1, 2], series[0, 3, 0] = 0.0, 0.0
    holed = batch.with_inputs({"images": images, "solar_wind": series}, seen)
    found = method(question(subject_of(), holed, context, steps=2, samples=3))
    assert found.parts["images"][1, 2].abs().sum() == 0
    assert found.parts["solar_wind"][3, 0] == 0


@pytest.mark.accuracy
def test_a_subject_that_depends_on_its_batch_is_asked_one_by_one(subject_of, windows_of):
    batch, context = windows_of(1), windows_of(4, seed=1)
    mixing, clean = subject_of(mixes_batch=True), subject_of()
    target = target_named("mean_ap", clean.spec)
    assert evaluator_for(clean, target, batch, context).chunk == 8
    told = evaluator_for(mixing, target, batch, context)
    assert told.chunk == 1 and "depends on its batch" in told.notes[0]
    settings = ExplainConfig(steps=3, target="mean_ap")
    careful = integrated_gradients(Question(told, batch, context, settings))
    plain = integrated_gradients(question(clean, batch, context, steps=3, target="mean_ap"))
    hasty = integrated_gradients(question(mixing, batch, context, steps=3, target="mean_ap"))
    torch.testing.assert_close(careful.parts["images"], plain.parts["images"])
    assert not torch.allclose(hasty.parts["images"], plain.parts["images"], rtol=0.1)
    assert careful.notes == told.notes


def test_without_other_windows_independence_is_not_claimed(subject_of, windows_of):
    target = target_named("mean_ap", subject_of().spec)
    found = evaluator_for(subject_of(), target, windows_of(1), None)
    assert "not tested" in found.notes[0]


@pytest.mark.accuracy
def test_disc_median_flattens_the_disc_and_keeps_the_corona(windows_of):
    batch = windows_of(1)
    flat = disc_median(batch)
    disc = torch.from_numpy(disc_mask(12))
    x, new = batch.inputs["images"], flat.inputs["images"]
    assert torch.equal(new[..., ~disc], x[..., ~disc])
    assert torch.all(new[..., disc].std(-1) < 1e-9)
    assert torch.all(flat.inputs["solar_wind"].std(1) == 0)


@pytest.mark.consistency
def test_typical_is_the_mean_of_the_other_windows_and_black_is_zero(windows_of):
    batch, context = windows_of(1), windows_of(3, seed=1)
    mean = baseline_named("typical")(batch, context).inputs["images"]
    torch.testing.assert_close(mean, context.inputs["images"].mean(0, keepdim=True))
    assert baseline_named("black")(batch, None).inputs["images"].abs().sum() == 0


def test_integer_images_become_floating(windows_of):
    batch = windows_of(1)
    whole = batch.with_inputs({"images": batch.inputs["images"].to(torch.uint8)})
    assert floating(whole).inputs["images"].dtype == torch.float32


@pytest.mark.accuracy
def test_profiles_are_signed_sums(subject_of, windows_of):
    found = integrated_gradients(question(subject_of(), windows_of(1), steps=2))
    part = found.parts["images"]
    assert float(temporal_profile(found, "images")[2]) == pytest.approx(float(part[:, 2].sum()))
    assert float(channel_profile(found, "images")[1]) == pytest.approx(float(part[1].sum()))
    wind = found.parts["solar_wind"]
    torch.testing.assert_close(temporal_profile(found, "solar_wind"), wind.sum(1))
    torch.testing.assert_close(channel_profile(found, "solar_wind"), wind.sum(0))
    assert relative_gap(0.0, 0.0) == 0.0 and relative_gap(3.0, 2.0) == 0.5


def test_methods_that_need_other_windows_say_so(subject_of, windows_of):
    with pytest.raises(NotApplicable, match="need other real windows"):
        expected_gradients(question(subject_of(), windows_of(1)))
    with pytest.raises(NotApplicable, match="'typical' needs other windows"):
        baseline_named("typical")(windows_of(1), None)


def test_a_target_without_graph_is_refused(net_of, windows_of, toy_spec):
    from heliosight.subject import wrap

    subject = wrap(net_of(), toy_spec, output=lambda y: y.detach(), parts={})
    with pytest.raises(NotApplicable, match="attached to the graph of the inputs"):
        gradient_x_input(question(subject, windows_of(1)))


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"methods": ("lime",)}, "known methods"),
        ({"methods": ()}, "known methods"),
        ({"baseline": "zero"}, "a baseline has a physical name"),
        ({"fill": "grey"}, "fills a patch with something physical"),
        ({"steps": 0}, "counts and sizes are at least 1"),
        ({"nulls": 5}, "nulls 19"),
        ({"importance_windows": -1}, "counts and sizes are at least 1"),
        ({"noise": 0.0}, "noise within 0 and 10"),
    ],
)
def test_config_mistakes_are_refused(settings, rule):
    with pytest.raises(ConfigError, match=rule):
        ExplainConfig(**settings)
