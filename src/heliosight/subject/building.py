"""A subject from the name of a function in the user's own code, as a command line gives it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from heliosight.core.errors import SubjectError
from heliosight.core.spec import ForecastSpec
from heliosight.subject.loading import load_checkpoint, load_into
from heliosight.subject.wrap import Subject, wrap


def build_from_path(
    target: str, checkpoint: str | Path | None = None, spec: ForecastSpec | None = None
) -> Subject:
    """The subject that the user's own function builds, with the weights of a checkpoint.

    Parameters
    ----------
    target : `my_package.my_file:build`. The module is looked for where Python looks for modules and
        last in the working directory; importing it runs it, as any import does. The function takes
        no arguments and returns a `Subject`, or a module that is wrapped with `spec`.
    checkpoint : tensors alone, see `load_checkpoint`; no code in it is run.

    Raises
    ------
    SubjectError : `target` is no such name, its module or function is not there, it fails, it gives
        something else, a bare module comes without `spec`, or the checkpoint is refused.
    """
    built = built_from_path(target)
    subject = built if isinstance(built, Subject) else _wrapped(built, spec, target)
    if checkpoint is not None:
        load_into(subject.module, load_checkpoint(checkpoint), where=str(checkpoint))
    return subject


def built_from_path(target: str) -> Subject | nn.Module:
    """What the user's own function gives; see `build_from_path`."""
    module_name, name = _split(target)
    with _working_directory_last():
        built = _built(_function(module_name, name, target), target)
    if isinstance(built, (Subject, nn.Module)):
        return built
    raise SubjectError(
        "a model's function gives a subject or a module", type(built).__name__, where=target
    )


def _split(target: str) -> tuple[str, str]:
    module_name, _, name = target.partition(":")
    if not name.isidentifier() or not all(p.isidentifier() for p in module_name.split(".")):
        raise SubjectError(
            "a model is named by module and function",
            repr(target),
            'Write for example "my_package.my_file:build".',
        )
    return module_name, name


@contextmanager
def _working_directory_last() -> Iterator[None]:
    """Modules of the working directory can be imported and can shadow nothing installed."""
    before, here = list(sys.path), str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        yield
    finally:
        sys.path[:] = before


def _function(module_name: str, name: str, target: str) -> Callable[[], Any]:
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise SubjectError(
            "the module of a model can be imported",
            f"{type(error).__name__}: {error}",
            "Run in the folder that holds it, or install it.",
            target,
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        names = sorted(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
        raise SubjectError(
            "a model is built by a function of its module",
            "nothing callable of that name",
            f"There is: {', '.join(names) or 'nothing'}.",
            target,
        )
    return function


def _built(function: Callable[[], Any], target: str) -> Any:
    try:
        return function()
    except Exception as error:
        raise SubjectError(
            "a model's function runs without arguments",
            f"{type(error).__name__}: {error}",
            where=target,
        ) from error


def _wrapped(module: nn.Module, spec: ForecastSpec | None, target: str) -> Subject:
    if spec is None:
        raise SubjectError(
            "a bare module comes with a specification",
            "none",
            "Return heliosight.subject.wrap(module, spec, ...) from the function.",
            target,
        )
    return wrap(module, spec, name=target)
