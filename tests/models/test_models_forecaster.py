"""Every architecture: one return type, blind to neighbours, no dead parameter, strict input."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from heliosight.core.batch import Batch
from heliosight.core.config import build, dump
from heliosight.core.errors import ConfigError, SpecError
from heliosight.core.output import ModelOutput
from heliosight.core.ports import Differentiable, Forecaster, Inspectable
from heliosight.core.spec import ForecastSpec
from heliosight.core.tables import Moments
from heliosight.models import ForecasterConfig, build_forecaster

IMAGE = {"hidden": 4, "features": 8, "stem_channels": 4}
CONVLSTM = {"type": "convlstm", **IMAGE}
ARCHITECTURES: dict[str, dict[str, object]] = {
    "default": {},
    "two layers, peepholes": {"images": {**CONVLSTM, "layers": 2, "peepholes": True}},
    "full resolution": {"images": {**CONVLSTM, "stem": "none"}},
    "strided": {"images": {**CONVLSTM, "stem": "strided", "patch": 2}},
    "last frame": {"images": {**CONVLSTM, "pooling": "last"}},
    "mean frame": {"images": {**CONVLSTM, "pooling": "mean"}},
    "self-attention": {"images": {**CONVLSTM, "pooling": "self_attention"}},
    "conv3d": {"images": {"type": "conv3d", **IMAGE, "layers": 2}},
    "learned position": {"series": {"type": "transformer", "features": 8, "position": "learned"}},
    "tcn": {"series": {"type": "tcn", "features": 8, "layers": 2}},
    "lstm": {"series": {"type": "lstm", "features": 8}},
    "linear area": {"encoders": {"ch_area": {"type": "linear", "features": 4}}},
    "concat": {"fusion": {"type": "concat", "width": 8}},
    "gated": {"fusion": {"type": "gated", "width": 8}},
    "no branch norm": {"branch_norm": False},
    "gaussian": {"head": {"type": "gaussian", "hidden": 8}},
    "split normal": {"head": {"type": "split_normal", "hidden": 8}},
    "speed and alignment": {"auxiliary": {"speed": True, "alignment": 4, "hidden": 8}},
}
every = pytest.mark.parametrize("changes", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
SUBSETS = [("images",), ("solar_wind",), ("ch_area",), ("images", "solar_wind")]


def numbers(output: ModelOutput) -> dict[str, torch.Tensor]:
    forecast = {"mean": output.forecast.mean, "quantiles": output.forecast.quantiles}
    return {**forecast, **output.auxiliary, **output.features}


def replaced_neighbours(batch: Batch, slot: int, other: Batch) -> Batch:
    """The same batch with every sample but one exchanged for wild ones."""
    own = torch.arange(len(batch)) == slot

    def mixed(mine: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        wild = theirs if theirs.dtype in (torch.uint8, torch.bool) else 100 * theirs
        return torch.where(own.view(-1, *[1] * (mine.ndim - 1)), mine, wild)

    inputs = {name: mixed(x, other.inputs[name]) for name, x in batch.inputs.items()}
    observed = {name: mixed(x, other.observed[name]) for name, x in batch.observed.items()}
    return batch.with_inputs(inputs, observed)


@every
def test_shapes_of_everything(small, batch_of, changes):
    model, batch = small(**changes), batch_of(3)
    for mode in (True, False):
        output = model.train(mode)(batch)
        assert isinstance(output, ModelOutput)
        assert output.forecast.mean.shape == (3, 24)
        assert output.forecast.quantiles.shape == (3, 24, 7)
        assert output.auxiliary["image"].shape == (3, 24)
        assert all(output.features[name].ndim == 2 for name in batch.inputs)
        assert output.features["hidden_states.images"].shape == (3, 5, 4)
        assert all(torch.isfinite(x).all() for x in numbers(output).values())
        assert model.event_probability(output).shape == (3, 3, 3)


@pytest.mark.accuracy
@every
def test_a_sample_never_reads_its_neighbours_bit_for_bit(small, batch_of, changes):
    """Same place in a batch of the same size, so that every kernel does the same arithmetic."""
    batch, other = batch_of(4), batch_of(4, seed=8)
    for dtype in (torch.float64, torch.float32):
        model = small(**changes).to(dtype).eval()
        for slot in (0, 3):
            alone = numbers(model(batch))
            among = numbers(model(replaced_neighbours(batch, slot, other)))
            for name, x in alone.items():
                assert torch.equal(x[slot], among[name][slot]), name


def test_the_exchange_of_neighbours_would_catch_a_reader(small, batch_of):
    model = small().double().eval()
    model.branch_norms["images"].register_forward_hook(lambda *call: call[-1] + call[-1].mean(0))
    batch, other = batch_of(4), batch_of(4, seed=8)
    alone, among = (model(b).forecast.mean for b in (batch, replaced_neighbours(batch, 0, other)))
    assert not torch.allclose(alone[0], among[0], rtol=1e-6)


@pytest.mark.accuracy
@every
def test_slot_and_size_of_the_batch_change_rounding_only(small, batch_of, changes):
    """Matrix kernels may sum in another order for another shape; nothing else may change."""
    batch = batch_of(5)
    for dtype, near in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        model = small(**changes).to(dtype).eval()
        together = numbers(model(batch))
        turned = numbers(model(batch.select([3, 4, 0, 1, 2])))
        alone = [numbers(model(batch.select([k]))) for k in range(5)]
        for name, x in together.items():
            assert torch.allclose(turned[name], x[[3, 4, 0, 1, 2]], rtol=near, atol=near), name
            single = torch.cat([one[name] for one in alone])
            assert torch.allclose(single, x, rtol=near, atol=near), name


@every
def test_no_layer_normalises_over_the_batch(small, changes):
    kinds = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
    assert not [m for m in small(**changes).modules() if isinstance(m, kinds)]


@every
def test_every_parameter_lives_and_lies_in_one_group(small, batch_of, changes):
    model = small(**changes).double()
    output = model.eval()(batch_of(3))
    total = output.forecast.mean.square().sum() + output.forecast.quantiles.square().sum()
    extra = [x for n, x in output.features.items() if n.startswith("alignment.")]
    for x in [*output.auxiliary.values(), *extra]:
        total = total + x.square().sum()
    total.backward()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not dead
    grouped = [id(p) for group in model.modules_by_group().values() for _, p in group]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())


@every
def test_config_comes_back_from_plain_mappings(changes):
    config = build(ForecasterConfig, changes)
    assert build(ForecasterConfig, dump(config)) == config


@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
@pytest.mark.parametrize("fusion", ["concat", "gated", "cross_attention"])
def test_any_set_of_modalities_is_the_same_code(small, batch_of, names, fusion):
    model = small(*names, fusion={"type": fusion, "width": 8})
    output = model(batch_of(2))
    assert output.forecast.mean.shape == (2, 24)
    assert ("image" in output.auxiliary) == ("images" in names)
    assert {n for n in output.features if n in ("images", "solar_wind", "ch_area")} == set(names)


def test_two_image_streams_share_the_image_head(small):
    one = small().spec.modalities["images"]
    spec = ForecastSpec({"east": one, "west": replace(one, variables=("aia_193",), steps=3)})
    moments = {
        "east": Moments((90.0, 127.0), (40.0, 30.0)),
        "west": Moments((90.0,), (40.0,)),
        "target": Moments((1.9,), (0.7,)),
    }
    model = build_forecaster(small().config, spec, moments)
    inputs = {"east": torch.rand(2, 2, 5, 16, 16), "west": torch.rand(2, 1, 3, 16, 16)}
    seen = {name: torch.ones(x.shape[:3]) > 0 for name, x in inputs.items()}
    output = model(Batch(inputs, seen, torch.arange(2), torch.ones(2, 24), torch.ones(2, 24) > 0))
    assert output.auxiliary["image"].shape == (2, 24)
    assert {"cell.east.0", "cell.west.0"} <= model.parts.keys()
    assert set(model.modules_by_group()) == {"convlstm", "fusion", "head", "auxiliary"}


def test_autocast_leaves_the_forecast_in_full_precision(small, batch_of):
    model, batch = small().eval(), batch_of(2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(batch)
    assert output.forecast.quantiles.dtype == torch.float32
    plain = model(batch).forecast.quantiles
    assert torch.allclose(output.forecast.quantiles, plain, atol=0.05)


def test_it_is_what_the_ports_ask_for(small, batch_of):
    model, batch = small().eval(), batch_of(2)
    assert isinstance(model, Forecaster) and isinstance(model, Differentiable)
    assert isinstance(model, Inspectable)
    assert torch.equal(model.forecast(batch), model(batch).forecast.mean_ap())
    assert not model.forecast(batch).requires_grad and model.score(batch).requires_grad


def test_parts_by_role_are_its_own_modules(small):
    model = small(images={**CONVLSTM, "layers": 2})
    own = {id(m) for m in model.modules()}
    assert all(id(part) in own for part in model.parts.values())
    wanted = {"encoder.images", "cell.images.0", "cell.images.1", "encoder.solar_wind"}
    assert wanted | {"fusion", "head", "auxiliary.image"} <= model.parts.keys()


def test_a_cell_is_called_once_a_frame(small, batch_of):
    model, calls = small().eval(), []
    model.parts["cell.images.0"].register_forward_hook(lambda *call: calls.append(call[-1]))
    model(batch_of(2))
    assert len(calls) == 5 and calls[0][0].shape == (2, 4, 4, 4)


def test_groups_have_the_names_users_look_for(small):
    groups = small(encoders={"ch_area": {"type": "linear", "features": 4}}).modules_by_group()
    assert list(groups) and set(groups) == {
        "convlstm", "transformer", "linear", "fusion", "head", "auxiliary",
    }  # fmt: skip
    assert "auxiliary" not in small("solar_wind").modules_by_group()


def test_weights_and_gates_are_exposed(small, batch_of):
    features = small()(batch_of(2)).features
    assert features["attention.images"].shape == (2, 4, 5)
    assert features["cross_attention.images"].shape == (2, 4, 5, 11)
    gated = small(fusion={"type": "gated", "width": 8})(batch_of(2)).features
    assert gated["gate.images"].shape == (2, 8)


def test_branch_norm_brings_branches_to_one_size(small, batch_of):
    batch = batch_of(3)
    features = small()(batch).features
    for name in batch.inputs:
        assert torch.allclose(features[name].mean(-1), torch.zeros(3), atol=1e-5)
        assert not torch.allclose(features[name], features[f"raw.{name}"], atol=1e-3)
    plain = small(branch_norm=False)(batch).features
    assert torch.equal(plain["images"], plain["raw.images"])


def test_an_untrained_forecast_is_climatology(small, batch_of):
    output = small().eval()(batch_of(4))
    assert torch.allclose(output.forecast.mean, torch.full((4, 24), 1.9), atol=0.2)
    assert torch.allclose(output.forecast.quantiles[..., 3], torch.full((4, 24), 1.9), atol=0.2)


def test_speed_starts_at_the_wind_it_was_told(small, batch_of):
    output = small(auxiliary={"speed": True, "hidden": 8})(batch_of(4))
    assert abs(float(output.auxiliary["speed"].detach().mean()) - 430) < 90


def test_unobserved_values_do_not_matter(small, batch_of):
    model, batch = small().eval(), batch_of(3)
    wild = {}
    for name, x in batch.inputs.items():
        seen = batch.observed[name]
        seen = seen[..., None, None] if x.ndim == 5 else seen
        wild[name] = torch.where(seen, x, torch.full_like(x, 77))
    other = model(batch.with_inputs(wild)).forecast.quantiles
    assert torch.equal(model(batch).forecast.quantiles, other)


def test_seed_fixes_each_part_on_its_own(small):
    both, wind = small("images", "solar_wind").state_dict(), small("solar_wind").state_dict()
    again, other = small(seed=0).state_dict(), small(seed=1).state_dict()
    for name in (n for n in wind if n.startswith("encoders.solar_wind")):
        assert torch.equal(both[name], wind[name])
    assert all(torch.equal(again[n], x) for n, x in small(seed=0).state_dict().items())
    assert not torch.equal(again["head.trunk.out.weight"], other["head.trunk.out.weight"])


def test_building_leaves_the_global_generator_alone(small):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    small()
    assert torch.equal(torch.rand(3), wanted)


def test_activation_checkpointing_changes_no_gradient(small, batch_of):
    found = []
    for on in (False, True):
        model = small().double().eval()
        model.set_activation_checkpointing(on)
        model(batch_of(2)).forecast.mean.sum().backward()
        found.append([p.grad for p in model.parameters() if p.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert model.encoders["images"].backbone.checkpoint_frames == 2


def test_fewer_frames_than_the_specification(small, batch_of):
    model, batch = small(), batch_of(2)
    cut = batch.with_inputs(
        {"images": batch.inputs["images"][:, :, -3:]},
        {"images": batch.observed["images"][:, :, -3:]},
    )
    assert model(cut).features["hidden_states.images"].shape == (2, 3, 4)


def spec_and_moments(small) -> tuple[ForecastSpec, dict[str, Moments]]:
    spec = small().spec
    moments = {
        name: Moments((1.0,) * len(m.variables), (1.0,) * len(m.variables))
        for name, m in spec.modalities.items()
    }
    return spec, {**moments, "target": Moments((1.9,), (0.7,))}


def test_what_does_not_fit_is_refused(small):
    spec, moments = spec_and_moments(small)
    with pytest.raises(SpecError, match="at least one modality"):
        build_forecaster(ForecasterConfig(), ForecastSpec(), moments)
    with pytest.raises(SpecError, match=r"moments exist for every modality.*none for target"):
        build_forecaster(
            ForecasterConfig(), spec, {n: m for n, m in moments.items() if n != "target"}
        )
    stray = build(ForecasterConfig, {"encoders": {"image": {"type": "convlstm"}}})
    with pytest.raises(ConfigError, match=r"an encoder belongs to a modality.*image"):
        build_forecaster(stray, spec, moments)
    wrong = build(ForecasterConfig, {"encoders": {"images": {"type": "tcn"}}})
    with pytest.raises(SpecError, match=r"an encoder fits its modality's kind.*tcn for images"):
        build_forecaster(wrong, spec, moments)


def test_a_speed_head_without_moments_is_refused(small):
    spec, moments = spec_and_moments(small)
    only = ForecastSpec({"images": spec.modalities["images"]})
    config = build(ForecasterConfig, {"auxiliary": {"speed": True}})
    with pytest.raises(SpecError, match=r"moments of what it predicts.*'speed'"):
        build_forecaster(config, only, moments)
    given = build_forecaster(config, only, {**moments, "speed": Moments((400.0,), (80.0,))})
    assert float(given.auxiliary["speed"].mean) == 400.0


def test_bad_widths_and_draws_are_refused():
    with pytest.raises(ConfigError, match="draws: this key is at least 1"):
        build(ForecasterConfig, {"draws": 0})
    with pytest.raises(ConfigError, match="a width is not negative"):
        build(ForecasterConfig, {"auxiliary": {"alignment": -1}})


def test_batches_of_another_shape_are_refused(small, batch_of):
    model, batch = small(), batch_of(2)
    without = replace(batch, inputs={"solar_wind": batch.inputs["solar_wind"]})
    with pytest.raises(SpecError, match=r"a batch holds every modality and its mask.*no 'images'"):
        model(without)
    for name, change in (
        ("images", lambda x: x[:, :1]),
        ("images", lambda x: x[..., :8]),
        ("images", lambda x: x.repeat(1, 1, 2, 1, 1)),
        ("solar_wind", lambda x: x[..., 0]),
        ("solar_wind", lambda x: x[:, :0]),
        ("ch_area", lambda x: x[:1]),
    ):
        with pytest.raises(SpecError, match=f"{name} is .* mask of its first three axes"):
            model(batch.with_inputs({name: change(batch.inputs[name])}))
