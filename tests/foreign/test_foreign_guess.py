"""Arguments, axis orders and parts of models that nobody here wrote."""

import pytest
import torch
from foreign_models import (
    CHANNELS,
    FRAMES,
    LEADS,
    SIZE,
    STEPS,
    VARIABLES,
    Patches,
    Published,
    Volume,
)
from torch import nn

from heliosight.core.errors import ConfigError, SubjectError
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.subject import (
    OutputConfig,
    ScalingConfig,
    SubjectConfig,
    check_subject,
    guess_arguments,
    subject_from,
    wrap,
)
from heliosight.subject.output import in_ap, output_of
from heliosight.subject.parts import example_batch

SPEC = ForecastSpec(
    {
        "images": ModalitySpec("images", "images", ("a", "b", "c"), FRAMES, 6, size=SIZE),
        "solar_wind": ModalitySpec(
            "series", "solar_wind", tuple(f"v{k}" for k in range(VARIABLES)), STEPS, 3
        ),
    },
    leads=LEADS,
)
SCALING = {
    "images": ScalingConfig((127.5,), (127.5,)),
    "solar_wind": ScalingConfig(tuple(range(VARIABLES)), (2.0,)),
}
GUESSES = {
    Published: {"sdo": ("images", "B T C H W"), "omni": ("solar_wind", "B S V")},
    Volume: {"x_img": ("images", "B C T H W"), "x_ts": ("solar_wind", "B S V")},
    Patches: {"frames": ("images", "B T C H W"), "plasma": ("solar_wind", "B S V")},
}
PARTS = {
    Published: {
        "encoder.images": "sdo_encoder", "encoder.solar_wind": "omni_encoder",
        "cell.images.0": "sdo_encoder.cells.0", "cell.images.1": "sdo_encoder.cells.1",
        "attention.solar_wind.0": "omni_encoder.encoder.layers.0.self_attn",
        "fusion": "gate", "gate": "gate", "head": "regressor",
    },
    Volume: {
        "encoder.images": "flat", "encoder.solar_wind": "lstm", "rnn.solar_wind.0": "lstm",
        "fusion": "mixer", "head": "last",
    },
    Patches: {
        "encoder.images": "over_time", "encoder.solar_wind": "cell", "rnn.images.0": "over_time",
        "attention.images.0": "vit.layers.0.self_attn", "cell.solar_wind.0": "cell",
        "fusion": "fuse", "head": "out",
    },
}  # fmt: skip


@pytest.mark.parametrize("model", GUESSES)
def test_arguments_axes_and_parts_are_found(model):
    torch.manual_seed(0)
    module = model()
    arguments = guess_arguments(module, SPEC)
    assert arguments == GUESSES[model]
    subject = wrap(
        module, SPEC, inputs=arguments, scaling=SCALING,
        output=output_of(OutputConfig("prediction" if model is Published else ""), LEADS),
    )  # fmt: skip
    batch = example_batch(SPEC, 4)
    assert subject.forecast(batch).shape == (4, LEADS)
    assert subject.paths == PARTS[model]
    assert check_subject(subject, batch) == []


def test_projections_inside_a_fusion_are_no_branches():
    subject = wrap(
        Published(gated=False), SPEC, inputs=GUESSES[Published],
        output=output_of(OutputConfig("prediction"), LEADS),
    )  # fmt: skip
    paths = subject.paths
    assert (paths["fusion"], paths["head"]) == ("cross", "regressor")
    assert paths["encoder.images"] == "sdo_encoder"
    assert paths["encoder.solar_wind"] == "omni_encoder"
    assert "gate" not in paths


class Turned(nn.Module):
    """Wind as (S, B, V), images as (B, T, H, W, C)."""

    def __init__(self):
        super().__init__()
        self.gru, self.colour = nn.GRU(VARIABLES, 4), nn.Linear(CHANNELS, 2)
        self.head = nn.Linear(6, LEADS)

    def forward(self, pictures, dt):
        seen = self.colour(pictures).mean(dim=(1, 2, 3))
        return self.head(torch.cat([self.gru(dt)[1][-1], seen], 1))


def test_unusual_orders_and_names_are_found_by_trying():
    assert guess_arguments(Turned(), SPEC) == {
        "pictures": ("images", "B T H W C"),
        "dt": ("solar_wind", "S B V"),
    }


class Flat(nn.Module):
    def forward(self, sdo, omni):
        return sdo.flatten(1)[:, :LEADS] + omni.flatten(1)[:, :LEADS]


class OneArgument(nn.Module):
    def forward(self, everything):
        return everything


class Never(nn.Module):
    def forward(self, sdo, omni):  # noqa: ARG002 - names to be guessed by
        raise ValueError("no way")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Flat(), "one axis order of a model's inputs runs.*B T C H W.*B C T H W.*Say which"),
        (OneArgument(), "takes one argument a modality.*OneArgument.everything."),
        (Never(), "runs on its modalities in some axis order.*no way"),
    ],
)
def test_what_cannot_be_guessed_is_asked(model, said):
    with pytest.raises(SubjectError, match=said):
        guess_arguments(model, SPEC)


def test_a_guess_leaves_the_module_as_it_was():
    module = Volume().train()
    guess_arguments(module, SPEC)
    assert module.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


@pytest.mark.parametrize("name", ["one", "other"])
def test_two_ways_of_calling_are_refused(name):
    with pytest.raises(SubjectError, match="one way to be called"):
        wrap(Flat(), SPEC, inputs={name: ("images", "B C T H W")}, call=lambda m, b: m(b))


def config(**changes):
    return SubjectConfig(model="foreign_models:volume", **changes)


def test_roles_of_a_config_win_over_the_guess():
    roles = {"encoder": {"images": "features"}, "fusion": "", "head": "last"}
    subject = subject_from(config(parts=roles), SPEC)
    expected = {**PARTS[Volume], "encoder.images": "features"}
    del expected["fusion"]
    assert subject.paths == expected
    assert subject.inputs == GUESSES[Volume]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"encoder.images": "featurs"}, "a path inside the model.*'featurs'.*Nearest: features"),
        ({"trunk": "flat"}, "a role is encoder.M.*'trunk'.*images, solar_wind"),
    ],
)
def test_a_branch_that_matches_nothing_is_refused(parts, said):
    with pytest.raises(SubjectError, match=said):
        subject_from(config(parts=parts), SPEC)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: config(parts={"fusion": 3}), "a role names a path"),
        (lambda: config(inputs={"sdo": "images"}).arguments, "a modality and the axes"),
        (lambda: config(leads=0), "at least one interval"),
        (lambda: SubjectConfig(checkpoint="w.pth"), "comes with the model it belongs to"),
        (lambda: ScalingConfig(std=(0.0,)), "positive deviations"),
    ],
)
def test_wrong_configs_are_refused(made, said):
    with pytest.raises(ConfigError, match=said):
        found = made()
        _ = found.roles


def test_inputs_may_be_written_three_ways():
    for text in ("images BTCHW", "images: B T C H W", "images:BTCHW"):
        assert config(inputs={"sdo": text}).arguments == {"sdo": ("images", "B T C H W")}


def test_scaling_is_by_channel_and_zero_where_unobserved():
    torch.manual_seed(0)
    seen = []
    subject = wrap(
        lambda omni: seen.append(omni) or omni[:, 0, :1].expand(-1, LEADS), SPEC,
        inputs={"omni": ("solar_wind", "B S V")}, scaling=SCALING,
    )  # fmt: skip
    batch = example_batch(SPEC, 2)
    batch.observed["solar_wind"][0, 3] = False
    subject.forecast(batch)
    expected = (batch.inputs["solar_wind"] - torch.arange(VARIABLES)) / 2
    expected[0, 3] = 0
    assert torch.allclose(seen[-1], expected)
    wrong = wrap(
        lambda omni: omni, SPEC, inputs={"omni": ("solar_wind", "B S V")},
        scaling={"solar_wind": ScalingConfig((1.0, 2.0))},
    )  # fmt: skip
    with pytest.raises(SubjectError, match="one value, or one a channel"):
        wrong.forecast(batch)


def test_outputs_in_other_scales_become_ap():
    y = torch.tensor([[0.0, 1.0]])
    assert torch.allclose(output_of(OutputConfig(scale="log1p_ap", mean=1, std=2), 2)(y),
                          torch.expm1(torch.tensor([[1.0, 3.0]])))  # fmt: skip
    kp = torch.tensor([0.0, 1 / 3, 5 / 3, 4.0, 9.0, 11.0, 0.5 / 3], requires_grad=True)
    assert torch.allclose(in_ap(kp, "kp"), torch.tensor([0.0, 2, 6, 27, 400, 400, 1.0]))
    assert torch.autograd.grad(in_ap(kp, "kp")[-1], kp)[0][-1] == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("key", "raw", "said"),
    [
        ("ap", {"prediction": torch.ones(1, 1)}, "subject.output.key names.*It returns: pred"),
        ("3", (torch.ones(1, 1),), "subject.output.key names.*1 things"),
        ("", {"prediction": torch.ones(1, 1)}, "a forecast is a tensor.*Name the part"),
    ],
)
def test_an_output_that_is_not_there_is_refused(key, raw, said):
    with pytest.raises(SubjectError, match=said):
        output_of(OutputConfig(key), 1)(raw)


def test_parts_of_tuples_are_taken():
    assert output_of(OutputConfig("1"), 2)((None, torch.ones(3, 2, 1))).shape == (3, 2)
    assert output_of(OutputConfig(), 2)([torch.ones(3, 2)]).shape == (3, 2)
