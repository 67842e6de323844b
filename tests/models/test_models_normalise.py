"""Normalisation inside the model, in physical units, with holes at the training mean."""

import numpy as np
import pytest
import torch

from heliosight.core.errors import SpecError
from heliosight.core.spec import ModalitySpec
from heliosight.core.tables import Moments
from heliosight.models.normalise import Normalise

IMAGES = ModalitySpec("images", "images", ("aia_193", "hmi_magnetogram"), 3, 6, size=4)
SERIES = ModalitySpec("series", "solar_wind", ("bz_gsm", "speed"), 5, 3)
MOMENTS = Moments((10.0, 400.0), (2.0, 100.0))


@pytest.mark.accuracy
def test_images_place_by_place():
    x = torch.randint(0, 256, (2, 2, 3, 4, 4), dtype=torch.uint8)
    seen = torch.rand(2, 2, 3) > 0.4
    out = Normalise("images", IMAGES, MOMENTS, squash=False)(x, seen)
    for b, c, t in torch.cartesian_prod(*(torch.arange(n) for n in (2, 2, 3))).tolist():
        slow = (x[b, c, t].float() - MOMENTS.mean[c]) / MOMENTS.std[c]
        assert torch.allclose(out[b, c, t], slow * float(seen[b, c, t]))


@pytest.mark.accuracy
@pytest.mark.parametrize("squash", [False, True])
def test_series_place_by_place(squash):
    x, seen = 100 * torch.randn(2, 5, 2), torch.rand(2, 5, 2) > 0.4
    out = Normalise("solar_wind", SERIES, MOMENTS, squash)(x, seen)
    slow = (x - torch.tensor(MOMENTS.mean)) / torch.tensor(MOMENTS.std)
    slow = torch.arcsinh(slow) if squash else slow
    assert torch.allclose(out, torch.where(seen, slow, 0.0), atol=1e-6)


def test_integer_and_float_pixels_agree_and_floats_carry_a_gradient():
    x = torch.randint(0, 256, (2, 2, 3, 4, 4), dtype=torch.uint8)
    seen, module = torch.ones(2, 2, 3) > 0, Normalise("images", IMAGES, MOMENTS, False)
    floats = x.float().requires_grad_()
    assert torch.equal(module(x, seen), module(floats, seen))
    module(floats, seen).sum().backward()
    assert torch.allclose(floats.grad[:, 1], torch.full((2, 3, 4, 4), 1 / 100))


def test_moments_are_buffers():
    module = Normalise("solar_wind", SERIES, MOMENTS, False)
    assert sorted(module.state_dict()) == ["mean", "scale"] and not list(module.parameters())


@pytest.mark.parametrize(
    ("moments", "message"),
    [
        (Moments((1.0,), (1.0,)), r"moments\.solar_wind: moments are one mean.*1 and 1 for 2"),
        (Moments((1.0, 2.0), (1.0, 0.0)), r"a standard deviation is positive.*0\.0"),
        (Moments((1.0, 2.0), (1.0, float("nan"))), "a standard deviation is positive"),
    ],
)
def test_bad_moments_are_refused(moments, message):
    with pytest.raises(SpecError, match=message):
        Normalise("solar_wind", SERIES, moments, False)


def test_a_mean_frame_is_taken_off_pixel_by_pixel():
    frame = np.arange(2 * IMAGES.size**2, dtype=np.float32).reshape(2, IMAGES.size, IMAGES.size)
    module = Normalise("images", IMAGES, Moments((0.0, 0.0), (2.0, 4.0), frame), False)
    x = torch.from_numpy(frame)[None, :, None] + torch.tensor([2.0, 4.0])[:, None, None, None]
    out = module(x, torch.ones(1, 2, 1, dtype=torch.bool))
    assert torch.allclose(out, torch.ones_like(out))


def test_a_mean_frame_of_another_size_is_refused():
    frame = np.zeros((2, 3, 3), np.float32)
    with pytest.raises(SpecError, match="a mean frame has the modality's channels and size"):
        Normalise("images", IMAGES, Moments((0.0, 0.0), (1.0, 1.0), frame), False)
