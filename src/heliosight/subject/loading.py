"""Weights from a file that may not run code."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from heliosight.core.arrays import BROKEN
from heliosight.core.errors import SubjectError

KEYS = ("model_state_dict", "state_dict")
PREFIXES = ("module.", "_orig_mod.")


def load_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors or torch checkpoint, on the CPU.

    A torch file is read with `weights_only=True` and may be `{"model_state_dict": ...}`,
    `{"state_dict": ...}` or a bare mapping of tensors. Prefixes that parallel or compiled wrappers
    add to every name are removed.

    Raises
    ------
    SubjectError : no such file, not a checkpoint, a pickle that wants to run code, no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise SubjectError("a checkpoint is a file", "nothing there", where=str(path))
    content = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
    for key in KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    tensors = _tensors(content)
    if not tensors:
        raise SubjectError(
            "a checkpoint maps names to tensors",
            type(content).__name__,
            f"Save model.state_dict(), bare or under one of: {', '.join(KEYS)}.",
            str(path),
        )
    return _unprefixed(tensors)


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], where: str = "") -> None:
    """Load all weights, strictly; every missing, unknown and misshapen name is told at once."""
    have = module.state_dict()
    problems = [f"missing {name}" for name in have if name not in tensors]
    problems += [f"unknown {name}" for name in tensors if name not in have]
    problems += [
        f"{name} is {tuple(tensors[name].shape)} instead of {tuple(have[name].shape)}"
        for name in have
        if name in tensors and tensors[name].shape != have[name].shape
    ]
    if problems:
        raise SubjectError(
            "a checkpoint fits its model",
            "; ".join(problems),
            "Build the model with the config it was trained with.",
            where,
        )
    module.load_state_dict(dict(tensors))


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise SubjectError("a .safetensors file is whole", str(error), where=str(path)) from error


def _torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings():  # of pickle protocols; what is not read is refused
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise SubjectError(
            "a checkpoint holds tensors and runs no code",
            "a pickle of something else, a whole module perhaps",
            "Save model.state_dict() alone, best as safetensors.",
            str(path),
        ) from error
    except (*BROKEN, AttributeError, IndexError, ImportError, AssertionError) as error:
        raise SubjectError(
            "a checkpoint is readable",
            f"no file of torch, or a broken one ({type(error).__name__}: {error})",
            "Save model.state_dict() with torch.save, or as safetensors.",
            str(path),
        ) from error


def _tensors(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        return {}
    return {str(k): v for k, v in content.items() if isinstance(v, Tensor)}


def _unprefixed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors
