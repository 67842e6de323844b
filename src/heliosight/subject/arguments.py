"""Which argument of a forward is which modality, and in which axis order: tried, not assumed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import permutations, product
from typing import Any

import torch
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.core.errors import SubjectError
from heliosight.core.spec import ForecastSpec
from heliosight.subject.adapter import adapter
from heliosight.subject.config import ScalingConfig
from heliosight.subject.examine import preserved
from heliosight.subject.parts import example_batch

Arguments = dict[str, tuple[str, str]]
# usual orders first; the others are tried when none of these runs
ORDERS = {
    "images": (("B T C H W", "B C T H W"), ("B T H W C", "B C H W T", "T B C H W")),
    "series": (("B S V",), ("B V S", "S B V")),
}
_IMAGES = r"im(g|age)|sdo|aia|hmi|sun|solar_?(disk|disc|im)|frame|video|pixel"
_SERIES = r"omni|wind|(^|_)sw(_|$)|series|plasma|imf|(^|_)ts(_|$)|driver|in_?situ"
HINTS = {"images": re.compile(_IMAGES, re.I), "series": re.compile(_SERIES, re.I)}
PRIMES = (5, 7, 11, 13)


def guess_arguments(
    module: nn.Module | Callable[..., Any],
    spec: ForecastSpec,
    scaling: Mapping[str, ScalingConfig] | None = None,
) -> Arguments:
    """Argument -> (modality, axis order) of the one way in which the module runs.

    Names decide where they speak (`sdo`, `omni_x`), otherwise every pairing is tried. An order is
    accepted when the forward ends and its first axis counts windows.

    Raises
    ------
    SubjectError : another number of arguments than modalities, no way runs, or several do.
    """
    names = _required(module, spec)
    batch = example_batch(spec, _windows(spec))
    problems: list[str] = []
    for tier in (0, 1):
        working = []
        for pairing in _pairings(names, spec):
            for arguments in _ordered(pairing, spec, tier):
                problem = _problem(module, adapter(arguments, scaling), batch)
                if not problem:
                    working.append(arguments)
                problems += [f"{in_words(arguments)}: {problem}"] if problem else []
        if working:
            return _only(working, module)
    raise SubjectError(
        "a model runs on its modalities in some axis order",
        "; ".join(problems[:4]),
        'Say how it is called: subject.inputs.NAME="images BTCHW", or return wrap(..., call=...).',
        _name(module),
    )


def in_words(arguments: Mapping[str, tuple[str, str]]) -> str:
    """`sdo = images (B T C H W), omni = solar_wind (B S V)`."""
    return ", ".join(f"{name} = {m} ({order})" for name, (m, order) in arguments.items())


def _required(module: nn.Module | Callable[..., Any], spec: ForecastSpec) -> list[str]:
    function = module.forward if isinstance(module, nn.Module) else module
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = [p for p in inspect.signature(function).parameters.values() if p.kind in kinds]
    needed = [p.name for p in named if p.default is inspect.Parameter.empty]
    if len(needed) != len(spec.modalities):
        raise SubjectError(
            "a model takes one argument a modality",
            f"{_name(module)}({', '.join(needed) or 'none by name'}) for "
            f"{', '.join(spec.modalities)}",
            "Choose its modalities with `systems`, name them with subject.inputs, or return "
            "heliosight.subject.wrap(module, spec, call=...) from the function.",
            _name(module),
        )
    return needed


def _windows(spec: ForecastSpec) -> int:
    """A number of windows that no other axis has, so that the batch axis can be told."""
    sizes = {n for m in spec.modalities.values() for n in (len(m.variables), m.steps, m.size)}
    return next(n for n in PRIMES if n not in sizes)


def _pairings(names: list[str], spec: ForecastSpec) -> Iterator[dict[str, str]]:
    """Argument -> modality: the pairings that fit the names best."""
    found = [
        dict(zip(names, order, strict=True)) for order in permutations(spec.modalities, len(names))
    ]
    scores = [sum(_fits(name, m, spec) for name, m in pairing.items()) for pairing in found]
    for pairing, score in zip(found, scores, strict=True):
        if score == max(scores):
            yield pairing


def _fits(name: str, modality: str, spec: ForecastSpec) -> int:
    kind = spec.modalities[modality].kind
    if modality in name:
        return 2
    return int(bool(HINTS[kind].search(name))) - sum(
        bool(HINTS[other].search(name)) for other in HINTS if other != kind
    )


def _ordered(pairing: dict[str, str], spec: ForecastSpec, tier: int) -> Iterator[Arguments]:
    """All axis orders of a pairing, at least one of them of the given tier."""
    choices = [
        [(order, t) for t in range(tier + 1) for order in ORDERS[spec.modalities[m].kind][t]]
        for m in pairing.values()
    ]
    for chosen in product(*choices):
        if max(t for _, t in chosen) == tier:
            orders = (order for order, _ in chosen)
            yield dict(zip(pairing, zip(pairing.values(), orders, strict=True), strict=True))


def _problem(module: Any, call: Callable[[Any, Batch], Any], batch: Batch) -> str:
    """Why a way of calling does not work; empty when it does."""
    try:
        answer = _quietly(module, call, batch)
    except Exception as error:  # noqa: BLE001 - somebody else's forward may fail in any way
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if answer is not None and (not answer.ndim or len(answer) != len(batch)):
        return f"its answer is {tuple(answer.shape)} for {len(batch)} windows"
    return ""


def _quietly(module: Any, call: Callable[[Any, Batch], Any], batch: Batch) -> Tensor | None:
    if not isinstance(module, nn.Module):
        return _first(call(module, batch))
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    with preserved(module), torch.no_grad():
        module.eval()
        return _first(call(module, batch.to(device)))


def _first(answer: Any) -> Tensor | None:
    if isinstance(answer, Mapping):
        answer = next(iter(answer.values()), None)
    if isinstance(answer, (tuple, list)):
        answer = answer[0] if answer else None
    return answer if isinstance(answer, Tensor) else None


def _only(working: list[Arguments], module: Any) -> Arguments:
    if len(working) > 1:
        raise SubjectError(
            "one axis order of a model's inputs runs",
            "; ".join(in_words(a) for a in working),
            'Say which: subject.inputs.NAME="images BTCHW".',
            _name(module),
        )
    return working[0]


def _name(module: Any) -> str:
    return (
        type(module).__name__
        if isinstance(module, nn.Module)
        else getattr(module, "__name__", type(module).__name__)
    )
