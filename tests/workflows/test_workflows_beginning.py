"""Stages, weights and teacher that a system's training starts from."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from heliosight.core.errors import ConfigError
from heliosight.core.spec import ModalitySpec
from heliosight.training import FIELD_CURRICULUM, PROGRESSIVE, StageConfig, TrainingConfig
from heliosight.workflows.beginning import settings_of, start_key, started, teacher
from heliosight.workflows.config import AppConfig, StartConfig

CONFIG = AppConfig(
    seed=5,
    inputs={
        "images": ModalitySpec("images", "images", ("aia_193",), 28, 6),
        "solar_wind": ModalitySpec("series", "solar_wind", ("ap",), 56, 3),
    },
    systems={"full": ("images", "solar_wind"), "wind": ("solar_wind",)},
    training=TrainingConfig(
        stages=(*PROGRESSIVE[:2], StageConfig("wind", 1, ("transformer", "head"))),
        curriculum=FIELD_CURRICULUM,
    ),
)


def test_a_system_without_images_leaves_out_what_only_images_learn():
    assert settings_of(CONFIG, "full").stages == CONFIG.training.stages
    wind = settings_of(CONFIG, "wind")
    assert [s.name for s in wind.stages] == ["fusion", "wind"]
    assert [s.groups for s in wind.stages] == [("fusion", "head"), ("transformer", "head")]
    assert wind.stages[0].rates == {} and wind.curriculum.steps == ()
    assert wind.seed == settings_of(CONFIG, "full").seed == 5


def model_of(*names):
    parts = {name.replace(".", "_"): torch.nn.Linear(2, 2) for name in names}
    return torch.nn.ModuleDict(parts)


def test_a_system_starts_from_the_named_parts_of_another_run(tmp_path):
    path = tmp_path / "weights.safetensors"
    model = model_of("images", "head")
    save_file({n: torch.full_like(p, 7.0) for n, p in model.named_parameters()}, path)
    start = StartConfig(str(path), ("images",))
    assert started(model, start, "full") is model
    assert (model["images"].weight == 7).all()
    assert not (model["head"].weight == 7).any()
    other = model_of("wind")
    assert not (started(other, start, "wind")["wind"].weight == 7).any()
    named = StartConfig(str(tmp_path / "{system}.safetensors"), ("images",))
    assert started(model_of("images"), named, "weights")["images"].weight.eq(7).all()


def test_a_trained_system_depends_on_the_bytes_it_started_from(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"one")
    first = start_key(StartConfig(str(path)), "full")
    path.write_bytes(b"two")
    assert start_key(StartConfig(), "full") == ()
    assert first != start_key(StartConfig(str(path)), "full")
    with pytest.raises(ConfigError, match="weights to start from are on disk"):
        start_key(StartConfig(str(tmp_path / "absent")), "full")


def test_only_heads_that_need_one_have_a_teacher():
    assert teacher(None, SimpleNamespace(area_days=0, every_frame=False)) is None
