"""Did a training choice really plant its fault? From the weights, the log, and a plain twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from heliosight.core.batch import Batch
from heliosight.models import Forecaster
from heliosight.zoo.manipulation import distance, mean_of, share_of
from heliosight.zoo.recipes import Recipe
from heliosight.zoo.worlds import PROXY

FADED = 0.2  # share of the plain twin's use that is left at most
LEANS = 0.05  # share of the forecast's variance that goes with the copy at least
LOST = 0.5  # share of its own clipped step that some group keeps at most


@dataclass(frozen=True)
class Trained:
    """A model trained by a recipe, beside its start and its plain twin.

    Attributes
    ----------
    batch : windows of the world it is diagnosed in. rows : its training log.
    """

    recipe: Recipe
    ill: Forecaster
    start: Forecaster
    plain: Forecaster
    batch: Batch
    rows: Sequence[Mapping[str, Any]]


def training_took(case: Trained) -> tuple[bool, str]:
    """True when the choice left its mark, and what was measured."""
    recipe = case.recipe
    if recipe.frozen:
        return _never_moved(case)
    if recipe.auxiliary:
        left = clip_left(case.rows, recipe.clip)
        return left < LOST, f"some group keeps {left:.2f} of its own clipped step"
    if recipe.law == "with_copy":
        lean = _copy_share(case.ill, case.batch)
        return lean > LEANS, f"the copy moves {lean:.3f} of the forecast's variance"
    ill, plain = (share_of(m, "images", case.batch) for m in (case.ill, case.plain))
    return ill < FADED * plain, f"images move {ill:.4f}, in the plain twin {plain:.4f}"


def _never_moved(case: Trained) -> tuple[bool, str]:
    pairs = zip(
        case.ill.encoders["images"].parameters(),
        case.start.encoders["images"].parameters(),
        strict=True,
    )
    still = all(torch.equal(a, b) for a, b in pairs)
    return still, "the branch's weights are those it started with" if still else "they moved"


def clip_left(rows: Sequence[Mapping[str, Any]], limit: float) -> float:
    """The least over groups of mean min(1, c / |g|) over mean min(1, c / |g_m|)."""
    norms = [r["gradient_norms"] for r in rows if r.get("kind") == "step"]
    total = np.array([n["total"] for n in norms])
    together = np.minimum(1.0, limit / total).mean()
    names = [n for n in norms[0] if n != "total"]
    alone = [np.minimum(1.0, limit / np.array([n[g] for n in norms])).mean() for g in names]
    return float(together / max(alone))


def _copy_share(model: Forecaster, batch: Batch) -> float:
    """Share of the forecast's variance that goes with the copy alone."""
    place = model.spec.modalities["solar_wind"].variables.index(PROXY)
    x = batch.inputs["solar_wind"].clone()
    x[..., place] = x[..., place].roll(len(batch) // 2, 0)
    with torch.no_grad():
        change = distance(
            mean_of(model, batch), mean_of(model, batch.with_inputs({"solar_wind": x}))
        )
    return change**2 / 2
