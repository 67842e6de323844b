"""What a batch must hold before a model reads it."""

from __future__ import annotations

from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import SpecError
from heliosight.core.spec import ModalitySpec


def checked(name: str, spec: ModalitySpec, batch: Batch) -> tuple[Tensor, Tensor]:
    """A modality's values and mask of a batch; it may have fewer steps than the specification.

    Raises
    ------
    SpecError : the modality or its mask is absent, or a shape is not the specification's.
    """
    if name not in batch.inputs or name not in batch.observed:
        raise SpecError(
            "a batch holds every modality and its mask",
            f"no {name!r} among {', '.join(batch.inputs)}",
            where="batch",
        )
    x, observed, n = batch.inputs[name], batch.observed[name], len(spec.variables)
    if spec.kind == "images":
        good = x.ndim == 5 and x.shape[1] == n and x.shape[3:] == (spec.size, spec.size)
        steps, want = (x.shape[2] if good else 0), f"(B, {n}, T, {spec.size}, {spec.size})"
    else:
        good = x.ndim == 3 and x.shape[2] == n
        steps, want = (x.shape[1] if good else 0), f"(B, S, {n})"
    if not 0 < steps <= spec.steps or observed.shape != x.shape[:3]:
        raise SpecError(
            f"{name} is {want} with at most {spec.steps} steps and a mask of its first three axes",
            f"{tuple(x.shape)} and {tuple(observed.shape)}",
            where="batch",
        )
    return x, observed
