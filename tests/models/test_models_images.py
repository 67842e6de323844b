"""Image encoders: stems, readout, masks, order, and the switches the field turns wrong."""

import math

import pytest
import torch
from torch import nn

from heliosight.core.errors import ConfigError
from heliosight.core.spec import ModalitySpec
from heliosight.models.images import Conv3dConfig, ConvLSTMConfig, ImageEncoder, Stem

SPEC = ModalitySpec("images", "images", ("aia_193", "aia_211", "hmi_magnetogram"), 5, 6, size=16)
TINY = {"features": 8, "hidden": 4, "stem_channels": 4}
CONFIGS = (
    ConvLSTMConfig(**TINY),
    ConvLSTMConfig(**TINY, stem="none", pooling="last", layers=2),
    ConvLSTMConfig(**TINY, stem="strided", pooling="mean", peepholes=True),
    ConvLSTMConfig(**TINY, patch=8, pooling="self_attention", position=False),
    Conv3dConfig(**TINY, layers=2),
    Conv3dConfig(**TINY, stem="strided", patch=2, pooling="mean"),
)
IDS = [f"{c.type}-{c.stem}-{c.pooling}" for c in CONFIGS]


def given(seed: int = 0, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(seed)
    values = torch.randn(batch, 3, 5, 16, 16, generator=stream)
    seen = torch.rand(batch, 3, 5, generator=stream) > 0.2
    return values * seen[..., None, None], seen


def encoder_of(config) -> ImageEncoder:
    torch.manual_seed(3)
    return ImageEncoder(config, SPEC).eval()


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_shapes_and_living_parameters(config):
    encoder = encoder_of(config)
    out = encoder(*given())
    assert out.tokens.shape == (2, 5, 8) and out.summary.shape == (2, 8)
    assert out.hidden.shape == (2, 5, 4)
    out.summary.square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 1e-12, name


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_order_of_frames_matters(config):
    values, seen = given()
    encoder = encoder_of(config)
    there, back = encoder(values, seen), encoder(values.flip(2), seen.flip(2))
    assert (there.summary - back.summary).abs().max() > 1e-4


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_gradient_reaches_every_frame(config):
    values, seen = given()
    values.requires_grad_()
    encoder_of(config)(values, torch.ones_like(seen)).summary.square().sum().backward()
    assert torch.all(values.grad.abs().sum((0, 1, 3, 4)) > 1e-9)


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_a_black_frame_differs_from_one_never_seen(config):
    values, seen = given()
    encoder = encoder_of(config)
    other = encoder(values, torch.ones_like(seen)).summary
    assert (encoder(values, seen).summary - other).abs().max() > 1e-5


@pytest.mark.parametrize("config", CONFIGS[:1] + CONFIGS[4:5], ids=IDS[:1] + IDS[4:5])
def test_place_on_the_disc_matters(config):
    """A bright square moved across the disc; a global mean would hardly see it."""
    seen, encoder, found = torch.ones(1, 3, 5) > 0, encoder_of(config), []
    for column in (2, 10):
        values = torch.zeros(1, 3, 5, 16, 16)
        values[..., 6:10, column : column + 4] = 3.0
        found.append(encoder(values, seen).summary)
    assert (found[0] - found[1]).abs().max() > 1e-2


@pytest.mark.accuracy
def test_squares_of_pixels_are_as_large_as_asked_or_as_the_patch_allows():
    for asked, patch, want in ((4, 8, 4), (2, 8, 2), (4, 2, 2), (3, 4, 1)):
        config = ConvLSTMConfig(**{**TINY, "patch": patch}, pixel_size=asked)
        stem = Stem(config, SPEC)
        assert stem.convolve[0].kernel_size == stem.convolve[0].stride == (want, want)
        assert stem.convolve[2].kernel_size == (patch // want, patch // want)


def test_patch_stem_sums_the_answers_of_each_pixel():
    stem = Stem(CONFIGS[0], SPEC)
    values, seen = given()
    maps = stem(values, seen)
    answer, _, patch = stem.convolve
    square = values[1, :, 3, 4:8, 8:12]
    answers = torch.zeros(8, 2, 2)
    for row in range(2):
        for column in range(2):
            pixels = square[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            answers[:, row, column] = (answer.weight * pixels).sum((1, 2, 3)) + answer.bias
    answers = answers.clamp(min=0)
    slow = (patch.weight * answers).sum((1, 2, 3)) + patch.bias
    slow = slow + stem.mask.weight @ seen[1, :, 3].float() + stem.position[:, 1, 2]
    assert torch.allclose(maps[1, 3, :, 1, 2], slow, atol=1e-5)


def test_a_linear_patch_sees_a_mean_and_no_hole():
    """Two patches of one mean, one with a dark hole: told apart only with pixel channels."""
    flat = torch.zeros(1, 3, 1, 16, 16)
    hole = flat.clone()
    hole[..., :4, :2], hole[..., :4, 2:4] = -2.0, 2.0  # two squares of 2 pixels each way
    seen = torch.ones(1, 3, 1, dtype=torch.bool)
    for pixels in (0, 4):
        stem = Stem(ConvLSTMConfig(**TINY, pixel_channels=pixels, position=False), SPEC)
        patch = stem.convolve if pixels == 0 else stem.convolve[2]
        with torch.no_grad():
            patch.weight.copy_(patch.weight.mean((2, 3), keepdim=True).expand_as(patch.weight))
        apart = (stem(flat, seen) - stem(hole, seen)).abs().max() > 1e-3
        assert apart == (pixels > 0)


@pytest.mark.accuracy
def test_linear_patch_stem_is_a_linear_map_of_each_square():
    stem = Stem(ConvLSTMConfig(**TINY, pixel_channels=0), SPEC)
    values, seen = given()
    maps = stem(values, seen)
    for row in range(4):
        for column in range(4):
            square = values[1, :, 3, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            slow = (stem.convolve.weight * square).sum((1, 2, 3)) + stem.convolve.bias
            slow = slow + stem.mask.weight @ seen[1, :, 3].float() + stem.position[:, row, column]
            assert torch.allclose(maps[1, 3, :, row, column], slow, atol=1e-5)


@pytest.mark.accuracy
def test_adding_the_mask_equals_giving_it_as_planes():
    stem = Stem(ConvLSTMConfig(**TINY, patch=8, position=False, pixel_channels=0), SPEC)
    values, seen = given()
    planes = seen.float()[..., None, None].expand_as(values)
    wide = nn.Conv2d(6, 4, 8, stride=8)
    with torch.no_grad():
        each = stem.mask.weight[:, :, None, None] / 64
        wide.weight.copy_(torch.cat([stem.convolve.weight, each.expand(-1, -1, 8, 8)], 1))
        wide.bias.copy_(stem.convolve.bias)
    both = torch.cat([values, planes], 1).transpose(1, 2)
    slow = torch.stack([wide(both[:, t]) for t in range(5)], 1)
    assert torch.allclose(stem(values, seen), slow, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "size", "channels"),
    [(CONFIGS[0], 4, 4), (CONFIGS[1], 16, 6), (CONFIGS[2], 4, 4), (CONFIGS[3], 2, 4)],
    ids=IDS[:4],
)
def test_stem_sizes(config, size, channels):
    stem = Stem(config, SPEC)
    assert (stem.size, stem.channels) == (size, channels)
    assert stem(*given()).shape == (2, 5, channels, size, size)


@pytest.mark.accuracy
def test_grid_cells_are_means_of_their_squares():
    encoder = encoder_of(ConvLSTMConfig(**TINY, patch=2, grid=4))
    maps = torch.randn(2, 5, 4, 8, 8)
    cells = encoder._cells(maps).view(2, 5, 4, 4, 4)
    slow = nn.functional.avg_pool2d(maps.flatten(0, 1), 2).view(2, 5, 4, 4, 4)
    assert torch.allclose(cells, slow, atol=1e-6)


def test_the_grid_shrinks_to_what_divides_the_map():
    assert encoder_of(ConvLSTMConfig(**TINY, patch=8, grid=6)).grid == math.gcd(6, 2)


def test_memory_defaults_to_all_frames_and_switches_off():
    long = encoder_of(CONFIGS[0]).backbone.cells[0].gates.bias[4:8]
    zero = encoder_of(ConvLSTMConfig(**TINY, forget_bias="zero")).backbone.cells[0].gates.bias[4:8]
    assert torch.all(long > 0) and torch.all(long <= math.log(4) + 1e-6)
    assert torch.equal(zero, torch.zeros(4))


def test_fewer_frames_are_the_newest():
    values, seen = given()
    out = encoder_of(CONFIGS[0])(values[:, :, 2:], seen[:, :, 2:])
    assert out.tokens.shape == (2, 3, 8) and out.attention.shape == (2, 4, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvLSTMConfig(kernel=4), r"convlstm\.kernel: a kernel is odd"),
        (lambda: ConvLSTMConfig(memory=-1), "number of frames is not negative"),
        (lambda: ConvLSTMConfig(stem="strided", patch=3), "shrinks by a power of two"),
        (lambda: Conv3dConfig(patch=0), "a patch is at least 1 pixel"),
        (lambda: ConvLSTMConfig(pixel_channels=-1), "a number of channels is not negative"),
        (lambda: ConvLSTMConfig(pixel_size=0), "positive|at least"),
        (lambda: Stem(ConvLSTMConfig(patch=5), SPEC), "patch divides the image's side"),
    ],
)
def test_bad_numbers_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
