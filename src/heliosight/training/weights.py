"""Weights as safetensors: written whole, read strictly, no pickle."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from heliosight.core.arrays import require_file
from heliosight.core.errors import RecordError
from heliosight.core.files import write_bytes


def shapes_of(state: dict[str, Tensor]) -> dict[str, list[int]]:
    """Shape of every entry by name."""
    return {name: list(x.shape) for name, x in sorted(state.items())}


def weights_bytes(model: nn.Module) -> bytes:
    """Weights and buffers of a model as a safetensors file."""
    state = {n: x.detach().cpu().contiguous().clone() for n, x in model.state_dict().items()}
    return save(state)


def save_weights(model: nn.Module, path: Path) -> None:
    """Weights and buffers of a model, whole or not at all."""
    write_bytes(path, weights_bytes(model))


def load_weights(model: nn.Module, path: Path) -> None:
    """Put saved weights into a model.

    Raises
    ------
    RecordError : the file is absent or broken, or another architecture's; every difference named.
    """
    state = read_weights(path)
    require_same_shapes(shapes_of(state), shapes_of(model.state_dict()), str(path))
    with torch.no_grad():
        model.load_state_dict(state)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file by name; one that is absent or broken raises `RecordError`."""
    try:
        require_file(path)
        return load(path.read_bytes())
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        again = "Train again or restore the file."
        raise RecordError(
            "weights are a whole safetensors file", str(error), again, str(path)
        ) from None


def require_same_shapes(
    saved: dict[str, list[int]], wanted: dict[str, list[int]], where: str
) -> None:
    """Raise `RecordError` that names the entries in which two architectures differ."""
    names = sorted(saved.keys() | wanted.keys())
    wrong = [
        f"{n}: {saved.get(n, 'absent')} saved, {wanted.get(n, 'absent')} in the model"
        for n in names
        if saved.get(n) != wanted.get(n)
    ]
    if wrong:
        raise RecordError(
            "weights belong to the same architecture",
            "; ".join(wrong[:8]) + (f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""),
            "Build the model with the config it was trained with.",
            where,
        )
