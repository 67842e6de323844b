"""The explain room's methods as the diagnosis asks them: many windows in, maps of images out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable
from heliosight.diagnosis import Explainer
from heliosight.explain.evaluator import Evaluator, floating
from heliosight.explain.gradcam import grad_cam
from heliosight.explain.gradients import integrated_gradients
from heliosight.explain.occlusion import occlusion
from heliosight.explain.question import ExplainConfig, Method, Question
from heliosight.explain.targets import target_named
from heliosight.subject import Subject

TARGET = "mean_ap"
SQUARES = 4  # occlusion's patches along each side, and spans of frames
STEPS = 4  # of the coarse rule; the fine one has twice as many


def explainers(names: Sequence[str]) -> Mapping[str, Explainer]:
    """Explainers by name, each of the mean forecast over all leads."""
    known: dict[str, Explainer] = {
        "grad_cam": cam_maps,
        "integrated_gradients": gradient_maps,
        "occlusion": occlusion_maps,
    }
    return {name: known[name] for name in names}


def cam_maps(subject: Subject, batch: Batch) -> Tensor:
    """Grad-CAM at every call of the last image cell, `(B, T, H, W)`.

    Raises
    ------
    NotApplicable : the subject has no recurrent cell over images.
    """
    m = _images(subject)
    cells = [role for role in subject.parts if role.startswith(f"cell.{m}.")]
    if not cells:
        raise NotApplicable(
            "Grad-CAM needs a recurrent cell over images",
            f"parts: {', '.join(subject.parts) or 'none'}",
            f"Name it: subject.parts.cell.{m}.0=path.",
        )
    target = target_named(TARGET, subject.spec)
    maps = [
        grad_cam(subject, max(cells), target, one, m, ("grad_cam",))[0].parts[m]
        for one in _windows(batch)
    ]
    return torch.stack(maps)


def gradient_maps(subject: Subject, batch: Batch) -> Tensor:
    """Integrated gradients from the disc's median, `(B, C, T, H, W)`."""
    config = ExplainConfig(steps=STEPS, chunk=2 * STEPS + 1)
    return _asked(integrated_gradients, subject, batch, config)


def occlusion_maps(subject: Subject, batch: Batch) -> Tensor:
    """Effect of patches a quarter of the frame wide and of the window long, `(B, C, T, H, W)`."""
    _, _, frames, size, _ = batch.inputs[_images(subject)].shape
    config = ExplainConfig(
        patch=max(1, size // SQUARES), patch_frames=max(1, frames // SQUARES),
        series_steps=10**6, chunk=16,
    )  # fmt: skip
    return _asked(occlusion, subject, batch, config)


def _asked(method: Method, subject: Subject, batch: Batch, config: ExplainConfig) -> Tensor:
    m = _images(subject)
    evaluator = Evaluator(subject, target_named(TARGET, subject.spec), config.chunk)
    question = Question(evaluator, batch, None, config, modality=m)
    return torch.stack([method(replace(question, batch=one)).parts[m] for one in _windows(batch)])


def _windows(batch: Batch) -> list[Batch]:
    batch = floating(batch)
    return [batch.select([i]) for i in range(len(batch))]


def _images(subject: Subject) -> str:
    return next(name for name, m in subject.spec.modalities.items() if m.kind == "images")
