"""Loader faults, healthy models that look ill, explainers, foreign models, training choices."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from zoo_models import MOMENTS, SPEC, built, windows

from heliosight.models import build_forecaster
from heliosight.subject import adapter, wrap
from heliosight.zoo import foreign as theirs
from heliosight.zoo.architectures import architecture
from heliosight.zoo.explainers import WRONG, explainer_took
from heliosight.zoo.faults import FaultConfig, plant
from heliosight.zoo.foreign import NATURAL, fit, fit_readout, foreign
from heliosight.zoo.healthy import recalibrate, rescaled, static_gate
from heliosight.zoo.loader import LoaderFault, loader_took, through_loader
from heliosight.zoo.manipulation import distance, mean_of, share_of
from heliosight.zoo.recipes import Recipe
from heliosight.zoo.rules import RULES, rules_of_thumb
from heliosight.zoo.trained import Trained, clip_left, training_took
from heliosight.zoo.truth import Truth, beside, forecasts_of, truth_of


@pytest.mark.parametrize("kind", ["dead_channel", "duplicate_channel", "scaled_channel"])
@pytest.mark.parametrize("branch", ["images", "solar_wind"])
def test_a_loader_fault_takes_and_healthy_windows_are_free_of_it(kind, branch):
    plain, fault = windows(), LoaderFault(kind, branch, 1, 3.0)
    ill = through_loader(plain, fault)
    assert loader_took(fault, plain, ill) and not loader_took(fault, plain, plain)
    assert torch.equal(plain.target, ill.target)


def test_misaligned_images_are_older_than_they_say():
    plain, late = windows(), LoaderFault("misaligned", size=2.0)
    ill = plain.with_inputs({"images": plain.inputs["images"].roll(1, 2)})
    assert (late.days, LoaderFault("dead_channel").days) == (2.0, 0.0)
    assert loader_took(late, plain, ill) and not loader_took(late, plain, plain)
    assert through_loader(plain, late) is plain


@pytest.mark.parametrize("name", ["concat", "gated", "cross_attention", "conv3d"])
def test_a_rescaled_branch_gives_the_same_forecast_with_tiny_features(name):
    plain, same, batch = built(name), built(name), windows()
    rescaled(same, "images")
    assert distance(mean_of(plain, batch), mean_of(same, batch)) < 1e-3
    sizes = [float(m(batch).features["raw.images"].detach().abs().mean()) for m in (plain, same)]
    assert sizes[1] / sizes[0] == pytest.approx(1e-3, rel=1e-3)


def test_a_static_gate_is_the_same_for_every_window_and_both_branches_count():
    model, batch = built("gated"), windows(64)
    assert float(model(batch).features["gate.images"].detach().std(0).max()) > 1e-3
    static_gate(model, batch)
    assert float(model(batch).features["gate.images"].detach().std(0).max()) < 1e-6
    assert min(share_of(model, m, batch) for m in batch.inputs) > 1e-4


def test_recalibration_leaves_a_slope_of_one():
    model, batch = built("concat"), windows(200)
    f = mean_of(model, batch).detach()
    noise = torch.randn(f.shape, generator=torch.Generator().manual_seed(1))
    y = 3 + 2.5 * (f - f.mean(0)) + 0.1 * f.std(0) * noise
    batch = type(batch)(
        batch.inputs, batch.observed, batch.issue_time, torch.expm1(y), batch.target_mask
    )
    recalibrate(model, batch)
    f = mean_of(model, batch).detach()
    a, b = f - f.mean(0), y - y.mean(0)
    assert torch.allclose((a * b).mean(0) / a.pow(2).mean(0), torch.ones(8), atol=0.01)
    assert torch.allclose(f.mean(0), y.mean(0), atol=1e-3)


class Known(nn.Module):
    """A forecaster's face on a forecast whose parts are known."""

    def __init__(self, images, noise):
        super().__init__()
        self.images, self.noise = images, noise

    def forward(self, batch):
        class Output:
            forecast = type("F", (), {})()

        wind, frames = (
            batch.inputs["solar_wind"].mean((1, 2)),
            batch.inputs["images"][:, 0, 0, 0, 0],
        )
        Output.forecast.mean = (wind + self.images * frames + self.noise)[:, None].expand(-1, 8)
        return Output


def test_the_truth_of_a_known_model_is_known():
    batch = windows(1200, seed=4)
    signal = batch.inputs["solar_wind"].mean((1, 2))
    y = 3 + 8 * signal[:, None].expand(-1, 8)
    batch = type(batch)(batch.inputs, batch.observed, batch.issue_time, torch.expm1(y), y > 0)
    planted = {"images": torch.randn(1200, 8).numpy(), "solar_wind": y.numpy()}

    def asked(model):
        return truth_of(partial(forecasts_of, model), batch, 24, planted)

    good = asked(Known(0.0, 0.0))
    assert good.gains["images"] == pytest.approx(0.0, abs=1e-6)
    assert good.miscalibration == pytest.approx((1 - 1 / 8) ** 2, rel=0.05)
    assert not good.healthy(("solar_wind",))  # it moves far too little
    leaning = asked(Known(0.02, 0.0))
    assert leaning.gains["images"] < -0.001
    assert "brings images" in leaning.text()


def test_what_a_driver_brings_beside_a_forecast_equals_two_regressions():
    rng = np.random.default_rng(5)
    x, z = rng.standard_normal((2, 300, 3))
    f = x + 0.5 * z
    y = x + 2 * z + rng.standard_normal((300, 3))

    def rest(columns, lead):
        a = np.stack([*(c[:, lead] for c in columns), np.ones(300)], 1)
        return ((y[:, lead] - a @ np.linalg.lstsq(a, y[:, lead], rcond=None)[0]) ** 2).sum()

    gained = sum(rest([f], i) - rest([f, z], i) for i in range(3))
    assert beside(f, z, y) == pytest.approx(gained / ((y - y.mean(0)) ** 2).sum())
    assert beside(f, f, y) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("left", "brings", "healthy"),
    [(0.02, 0.03, True), (0.05, 0.03, False), (0.05, 0.3, True), (0.2, 0.3, False)],
)
def test_a_healthy_model_leaves_little_or_less_than_half_of_what_it_takes(left, brings, healthy):
    truth = Truth(0.5, {"images": brings}, 0.0, {"images": left})
    assert truth.healthy(("images",)) == healthy
    assert "leaves images" in truth.text()


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_explainer_gives_other_maps_than_the_right_one(name):
    assert explainer_took(name, wrap(built("concat"), SPEC), windows(3))


@pytest.mark.parametrize("name", NATURAL)
def test_a_foreign_model_has_its_fault_and_its_twin_has_not(name):
    model, batch = foreign(name, 1), windows(80)
    images = batch.inputs["images"].transpose(1, 2)
    wind, y = batch.inputs["solar_wind"] * 80 + 390, torch.log1p(batch.target)
    before = ((model(images, wind) - y) ** 2).mean()
    fit_readout(model, images, wind, y, 1e-3)
    assert ((model(images, wind) - y) ** 2).mean() < before
    alone = torch.cat([model(images[i : i + 1], wind[i : i + 1]) for i in range(4)])
    leaks = not torch.allclose(alone, model(images[:4], wind[:4]), atol=1e-4)
    assert leaks == (name == "position_on_batch")
    early = images.clone()
    early[:, :4] = early[:, :4].roll(1, 0)
    seen = not torch.allclose(model(early, wind), model(images, wind), atol=1e-6)
    assert seen == (name not in ("state_dropped", "same_frame"))
    dead = model.cross is not None and not _gradient(model, images[:4], wind[:4])
    assert dead == (name == "single_key")


def test_a_foreign_model_learns_more_than_its_readout(monkeypatch):
    monkeypatch.setattr(theirs, "EPOCHS", 5)
    model, alone, batch = foreign("healthy_tensor", 1), foreign("healthy_tensor", 1), windows(128)
    images, wind = batch.inputs["images"].transpose(1, 2), batch.inputs["solar_wind"] * 80 + 390
    y = 2 + torch.tanh(batch.inputs["solar_wind"][:, -1, :1]).expand(-1, 8)
    fit_readout(alone, images, wind, y, 1e-3)
    fit(model, images, wind, y, 0)
    losses = [float((m(images, wind) - y).pow(2).mean().detach()) for m in (model, alone)]
    assert losses[0] < losses[1]
    assert not torch.equal(model.sun.cell.gates.weight, alone.sun.cell.gates.weight)


def _gradient(model, images, wind):
    return torch.autograd.grad(model(images, wind).sum(), model.cross.q_proj.weight)[0].any()


def test_foreign_parts_are_found_by_themselves():
    call = adapter({"sdo": ("images", "B T C H W"), "omni": ("solar_wind", "B S V")})
    for name in ("healthy_tuple", "healthy_tensor"):
        subject = wrap(foreign(name, 2), SPEC, call=call, output=torch.expm1, example=windows(3))
        assert {"encoder.images", "encoder.solar_wind", "cell.images.0"} <= set(subject.parts)


def trial(recipe, ill, start=None, plain=None, rows=()):
    start, plain = start or built("concat"), plain or built("concat")
    return training_took(Trained(recipe, ill, start, plain, windows(48), rows))[0]


def test_training_choices_are_told_from_plain_training():
    same, other = built("concat"), built("concat", seed=4)
    assert trial(Recipe(frozen=True), same) and not trial(Recipe(frozen=True), other)
    blind = built("concat")
    nn.init.zeros_(blind.encoders["images"].readout.weight)
    for recipe in (Recipe(image_gain=0.01), Recipe(image_rate=0.01), Recipe(strangers=True)):
        assert trial(recipe, blind) and not trial(recipe, same)


def test_clipping_that_one_group_drives_is_told_from_fair_clipping():
    rows = [{"kind": "step", "gradient_norms": {"a": 10.0, "b": 0.5, "total": 10.01}}] * 50
    fair = [{"kind": "step", "gradient_norms": {"a": 0.4, "b": 0.5, "total": 0.64}}] * 50
    assert clip_left(rows, 0.5) == pytest.approx(0.5 / 10.01)
    assert clip_left(fair, 5.0) == 1.0
    recipe = Recipe(auxiliary=60.0, clip=0.5)
    assert trial(recipe, built("concat"), rows=rows) and not trial(
        recipe, built("concat"), rows=fair
    )


def test_a_model_that_leans_on_the_copy_is_told_from_one_that_does_not():
    from heliosight.zoo.worlds import PROXY, Law, specification

    spec = specification(Law(copy=0.5))
    moments = MOMENTS | {"solar_wind": type(MOMENTS["target"])((0.0,) * 4, (1.0,) * 4)}
    model = build_forecaster(architecture("concat"), spec, moments, seed=3).eval()
    batch = windows(48)
    wind = torch.cat([batch.inputs["solar_wind"], torch.randn(48, 16, 1)], 2)
    batch = batch.with_inputs({"solar_wind": wind}, {"solar_wind": wind == wind})
    recipe = Recipe("with_copy", copy=0.9)
    assert training_took(Trained(recipe, model, model, model, batch, ()))[0]
    place = spec.modalities["solar_wind"].variables.index(PROXY)
    with torch.no_grad():
        model.encoders["solar_wind"].embed.weight[:, place] = 0
    assert not training_took(Trained(recipe, model, model, model, batch, ()))[0]


def test_the_rules_of_thumb_do_what_they_say():
    batch = windows(16)
    plain, small = built("gated"), built("gated")
    rescaled(small, "images")
    assert set(rules_of_thumb(plain, batch)) == set(RULES)
    assert not rules_of_thumb(built("concat"), batch)[RULES[0]]
    assert rules_of_thumb(small, batch)[RULES[1]]  # the same function, yet called ill
    assert RULES[4] not in rules_of_thumb(built("concat"), batch)
    plant(plain, (FaultConfig("detached"),))
    assert rules_of_thumb(plain, batch)[RULES[2]]
    assert np.isfinite(sum(rules_of_thumb(plain, batch).values()))
