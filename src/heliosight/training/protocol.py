"""What training asks of a model: a torch module with named groups and one output type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.core.errors import SpecError
from heliosight.core.ports import WindowSource

OTHER = "other"
# A group of this name never learns, whatever a stage says: an old column.
FROZEN = "frozen"


@runtime_checkable
class Trainable(Protocol):
    """A torch module that names its parameters by group.

    Beyond these it may offer `spec`, `set_copula(correlation, seed)`,
    `event_probability(output) -> (B, D, G)` and `set_activation_checkpointing(on)`; whatever needs
    one of them says so when it is absent.
    """

    training: bool

    def __call__(self, batch: Batch) -> Any:
        """The `ModelOutput` of a batch."""
        ...

    def modules_by_group(self) -> Mapping[str, Sequence[tuple[str, nn.Parameter]]]:
        """Parameters by group: convlstm, transformer, fusion, head, auxiliary, ..."""
        ...

    def train(self, mode: bool = True) -> Any:
        """Training or evaluation mode."""
        ...

    def modules(self) -> Iterator[nn.Module]:
        """Every sub-module."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Every parameter."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Every parameter with its name."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Weights and buffers by name."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> Any:
        """Take weights and buffers over, strictly."""
        ...

    def to(self, *args: Any) -> Any:
        """Move to a device or dtype."""
        ...


def parameters_by_group(model: Trainable) -> dict[str, dict[str, nn.Parameter]]:
    """Every parameter in exactly one group; what the model leaves out is the group `other`.

    Raises
    ------
    SpecError : the model has no groups, or a parameter lies in two of them.
    """
    if not isinstance(model, Trainable):
        raise SpecError(
            "a model that is trained names its groups",
            type(model).__name__,
            "Give it `modules_by_group() -> {group: [(name, parameter)]}`.",
        )
    groups = {g: dict(members) for g, members in model.modules_by_group().items() if len(members)}
    owner: dict[int, str] = {}
    for group, members in groups.items():
        for name, parameter in members.items():
            if id(parameter) in owner:
                both = f"{name} in {owner[id(parameter)]} and {group}"
                raise SpecError("a parameter belongs to one group", both)
            owner[id(parameter)] = group
    rest = {name: p for name, p in model.named_parameters() if id(p) not in owner}
    return {**groups, OTHER: rest} if rest else groups


def require_same_spec(model: Trainable, source: WindowSource) -> None:
    """Raise `SpecError` when a model that states its specification disagrees with the windows."""
    spec = getattr(model, "spec", None)
    if spec is not None:
        spec.require_equal(source.spec, "model against windows")
