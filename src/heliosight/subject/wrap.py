"""Any model as a subject: one way to ask for a forecast, its graph, and its parts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.core.errors import SubjectError
from heliosight.core.geomagnetic import storm_threshold
from heliosight.core.output import ModelOutput
from heliosight.core.spec import ForecastSpec
from heliosight.subject.adapter import adapter
from heliosight.subject.config import ScalingConfig
from heliosight.subject.parts import describe, guess_parts, paths

Call = Callable[[nn.Module, Batch], Any]
Output = Callable[[Any], Any]


@final
class Subject:
    """A forecaster under examination; implements Forecaster, Differentiable and Inspectable.

    Made by `wrap`.
    """

    def __init__(
        self,
        module: nn.Module,
        spec: ForecastSpec,
        call: Call,
        output: Output,
        parts: Mapping[str, nn.Module] | None,
        name: str,
        example: Batch | None,
        inputs: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self.module, self.name = module, name
        self.inputs = dict(inputs or {})
        self._spec, self._call, self._output = spec, call, output
        self._given, self._example = parts, example

    @property
    def spec(self) -> ForecastSpec:
        """Inputs and target."""
        return self._spec

    @cached_property
    def parts(self) -> Mapping[str, nn.Module]:
        """Sub-modules by role: given, or the module's own `parts`, or guessed from the graph."""
        if self._given is not None:
            return dict(self._given)
        own = getattr(self.module, "parts", None)
        return dict(own) if isinstance(own, Mapping) else guess_parts(self, self._example)

    @property
    def device(self) -> torch.device:
        """Where the first weight lives."""
        first = next(self.module.parameters(), None)
        return torch.device("cpu") if first is None else first.device

    def forecast(self, batch: Batch) -> Tensor:
        """Mean forecast `(B, L)` in ap, without a graph."""
        with torch.no_grad():
            return self.score(batch)

    def score(self, batch: Batch) -> Tensor:
        """Mean forecast `(B, L)` in ap, attached to the graph of floating inputs.

        Raises
        ------
        SubjectError : the module fails, or gives something that is no forecast of `(B, L)`.
        """
        return _mean(self.quantities(batch, ("forecast",))["forecast"], batch, self)

    def quantities(self, batch: Batch, wanted: Collection[str] = ()) -> dict[str, Tensor]:
        """Named outputs with their graph: `forecast` `(B, L)` ap and what else the model says.

        wanted : what our own forecaster works out, all if empty; a chance of a day costs as much
            as the network. What else is at hand comes along.

        Our own forecaster adds `log_mean` `(B, L)` of log1p(ap), `event_probability` `(B, L)`,
        the chance that a lead reaches G1 (ap >= 39), `day_event_probability` `(B, D)`, the chance
        that any lead of a day does under its dependence, and its auxiliary outputs by name.
        """
        raw = self._output(self.raw(batch))
        if isinstance(raw, ModelOutput):
            draws = getattr(self.module, "copula_draws", None)
            return _own_quantities(raw, wanted, draws, 24 // self.spec.lead_hours)
        if isinstance(raw, Mapping) and "forecast" in raw:
            return dict(raw)
        if isinstance(raw, Tensor):
            return {"forecast": raw}
        raise SubjectError(
            "a model gives a tensor, a ModelOutput or a mapping with `forecast`",
            type(raw).__name__,
            "Pass `output=` to wrap: a function from what the model returns to (B, L) in ap.",
            self.name,
        )

    def raw(self, batch: Batch, copies: bool = True) -> Any:
        """What the module itself returns, in evaluation mode; the mode is put back.

        copies : give the module copies, so that one that writes to its input spoils no window.
        """
        modes = [(part, part.training) for part in self.module.modules() if part.training]
        for part, _ in modes:
            part.training = False
        try:
            given = batch.to(self.device)
            return self._call(self.module, _copied(given) if copies else given)
        except SubjectError:
            raise
        except Exception as error:
            raise SubjectError(
                "a subject runs on a batch of its specification",
                f"{type(error).__name__}: {error}",
                "Check `call` and the axis order; `check_subject` lists what is wrong.",
                self.name,
            ) from error
        finally:
            for part, mode in modes:
                part.training = mode

    def describe(self) -> str:
        """Which submodule plays which role, one line each."""
        return describe(self)

    def twin(self) -> Subject:
        """The same subject on a copy of its module, which can be changed while this one runs."""
        module = copy.deepcopy(self.module)
        parts = {role: module.get_submodule(path) for role, path in self.paths.items()}
        return Subject(
            module, self._spec, self._call, self._output, parts, self.name, self._example,
            self.inputs,
        )  # fmt: skip

    @property
    def paths(self) -> dict[str, str]:
        """Path inside the module of every role."""
        return paths(self)

    def with_parts(self, parts: Mapping[str, nn.Module]) -> Subject:
        """The same subject with these parts."""
        return Subject(
            self.module, self._spec, self._call, self._output, parts, self.name, self._example,
            self.inputs,
        )  # fmt: skip


def wrap(
    module: nn.Module | Callable[..., Any],
    spec: ForecastSpec,
    *,
    call: Call | None = None,
    inputs: Mapping[str, tuple[str, str]] | None = None,
    scaling: Mapping[str, ScalingConfig] | None = None,
    output: Output | None = None,
    parts: Mapping[str, nn.Module] | None = None,
    name: str = "",
    example: Batch | None = None,
) -> Subject:
    """A subject from any module or callable; nothing of it is changed.

    Parameters
    ----------
    inputs : argument -> (modality, axis order), see `adapter`, for a module that takes named
        tensors; `guess_arguments(module, spec)` finds them by trying.
    scaling : by modality, with `inputs`; the default gives physical units.
    call : how to call it, `call(module, batch)`, in place of `inputs`; without either
        `module(batch)`.
    output : from what it returns to the mean forecast `(B, L)` in ap, or to a mapping of named
        tensors with `forecast` among them; not needed for a `ModelOutput`.
    parts : sub-modules by role, when the guess shown by `describe()` is wrong.
    example : a real batch to guess the parts with; otherwise one is made from `spec`.

    Raises
    ------
    SubjectError : `module` cannot be called, a part is no module of it, both `call` and `inputs`,
        or `inputs` of a wrong form.
    """
    if call is not None and inputs:
        raise SubjectError("a subject has one way to be called", "both call and inputs", where=name)
    if not callable(module):
        raise SubjectError("a subject is a module or a callable", type(module).__name__)
    net = module if isinstance(module, nn.Module) else _Function(module)
    inside = {id(part) for part in net.modules()}
    strangers = [role for role, part in (parts or {}).items() if id(part) not in inside]
    if strangers:
        raise SubjectError("parts are modules of the subject", ", ".join(strangers), where=name)
    label = name or type(net).__name__
    way = adapter(inputs, scaling) if inputs else call or _plain_call
    return Subject(net, spec, way, output or _same, parts, label, example, inputs)


@final
class _Function(nn.Module):
    """A plain callable as a module without weights."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def _copied(batch: Batch) -> Batch:
    return batch.with_inputs({name: x.clone() for name, x in batch.inputs.items()})


def _plain_call(module: nn.Module, batch: Batch) -> Any:
    return module(batch)


def _same(raw: Any) -> Any:
    return raw


def _own_quantities(
    output: ModelOutput, wanted: Collection[str], draws: Tensor | None, day: int
) -> dict[str, Tensor]:
    said, storm = output.forecast, storm_threshold("G1")
    makers: dict[str, Callable[[], Tensor]] = {
        "forecast": said.mean_ap,
        "log_mean": lambda: said.mean,
        "event_probability": lambda: said.exceedance(storm),
    }
    if draws is not None:
        makers["day_event_probability"] = lambda: said.smooth_day_exceedance(storm, draws, day)
    named = {name: make() for name, make in makers.items() if not wanted or name in wanted}
    return {**named, **output.auxiliary}


def _mean(forecast: Tensor, batch: Batch, subject: Subject) -> Tensor:
    wanted = (len(batch), subject.spec.leads)
    if tuple(forecast.shape) != wanted:
        raise SubjectError(
            "a forecast is (windows, leads)",
            f"{tuple(forecast.shape)} instead of {wanted}",
            "Pass `output=` to wrap.",
            subject.name,
        )
    return forecast
