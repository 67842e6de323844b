"""What to look at while a model learns: feature distributions and the hidden state over frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from heliosight.core.spec import ForecastSpec


def feature_views(features: Mapping[str, Tensor], spec: ForecastSpec) -> dict[str, Any]:
    """Mean and standard deviation per branch; the hidden state's norm per frame.

    Branches are the features `<modality>` and, before their norm, `raw.<modality>`, `(B, F)`: a
    branch far larger than another drowns it in the fusion. `hidden_states.<modality>` `(B, T, F)`
    of the first images (or else series) gives its Euclidean norm over F, averaged over the batch.
    """
    names = [f"{place}{m}" for m in spec.modalities for place in ("", "raw.")]
    branches = {
        name: {"mean": float(x.mean()), "std": float(x.std(unbiased=False))}
        for name, x in ((n, features[n]) for n in names if n in features)
    }
    by_kind = sorted(spec.modalities, key=lambda m: spec.modalities[m].kind != "images")
    hidden = [h for m in by_kind if (h := features.get(f"hidden_states.{m}")) is not None]
    norms = hidden[0].norm(dim=-1).mean(0).tolist() if hidden else []
    return {"features": branches, "hidden_norm": norms}
