"""Auxiliary heads: at every frame, of coronal-hole area."""

import pytest
import torch

from heliosight.core.errors import ConfigError
from heliosight.models.auxiliary import ROOT_AREA, AuxiliaryConfig

LAST = {"type": "convlstm", "hidden": 4, "features": 8, "stem_channels": 4, "pooling": "last"}
EVERY = {"every_frame": True, "area": 3, "hidden": 8, "dropout": 0.0}


def test_heads_speak_after_every_frame_and_the_last_word_is_the_forecast(small, batch_of):
    output = small(images=LAST, auxiliary=EVERY).eval()(batch_of(2))
    assert output.every_frame["image"].shape == (2, 5, 24)
    assert output.every_frame["area"].shape == (2, 5, 3)
    for name, said in output.every_frame.items():
        assert torch.equal(said[:, -1], output.auxiliary[name])


def test_what_is_said_after_a_frame_knows_no_later_one(small, batch_of):
    model, batch = small(images=LAST, auxiliary=EVERY).eval(), batch_of(2)
    pixels = batch.inputs["images"].clone()
    pixels[:, :, 3:] = 255 - pixels[:, :, 3:]
    said = model(batch).every_frame["image"]
    other = model(batch.with_inputs({"images": pixels})).every_frame["image"]
    assert torch.equal(said[:, :3], other[:, :3])
    assert not torch.equal(said[:, 3:], other[:, 3:])


def test_heads_are_silent_between_frames_unless_asked(small, batch_of):
    output = small(auxiliary={"hidden": 8, "area": 3})(batch_of(2))
    assert output.every_frame == {}
    assert output.auxiliary["area"].shape == (2, 3)


def test_an_untrained_area_is_the_usual_one(small, batch_of):
    output = small(images=LAST, auxiliary=EVERY).eval()(batch_of(4))
    assert abs(float(output.auxiliary["area"].detach().mean()) - ROOT_AREA[0]) < ROOT_AREA[1]


def test_a_model_says_what_it_has_to_be_taught(small):
    assert (small(images=LAST, auxiliary=EVERY).area_days, small().area_days) == (3, 0)
    assert small(images=LAST, auxiliary=EVERY).every_frame and not small().every_frame
    wind = small("solar_wind", images=LAST, auxiliary=EVERY)
    assert (wind.area_days, wind.every_frame) == (0, False)


def test_every_frame_needs_a_token_a_frame(small):
    with pytest.raises(ConfigError, match="image encoders that pool by `last`"):
        small(auxiliary=EVERY)


def test_a_negative_number_of_days_is_refused():
    with pytest.raises(ConfigError, match="a number of days is not negative"):
        AuxiliaryConfig(area=-1)
