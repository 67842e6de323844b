"""Another kind chosen for one run: what only the kind before it knows is left out, and told."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Collection, Mapping
from typing import Any, get_args


def without_other_kinds(
    cls: Any, data: Mapping[str, Any], typed: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """`data` for the dataclass `cls` without the keys of a kind that a typed `type` replaced.

    A key stays when the new kind knows it, when it was typed, or when no kind knows it, so that
    the strict loader refuses a slip.

    Parameters
    ----------
    typed : paths of the keys that were given for this run, `model.series.type`.

    Returns
    -------
    The mapping, and a sentence for each key that was left out.
    """
    switched = {path.removesuffix(".type") for path in typed if path.endswith(".type")}
    left: list[str] = []
    return _kept(cls, data, "", switched, set(typed), left), left


def _kept(
    hint: Any, data: Any, path: str, switched: set[str], typed: set[str], left: list[str]
) -> Any:
    if not isinstance(data, Mapping):
        return data
    kinds = [kind for kind in (hint, *get_args(hint)) if dataclasses.is_dataclass(kind)]
    if path in switched:
        data = _of_one_kind(kinds, data, path, typed, left)
    kept = {}
    for key, value in data.items():
        inner = _hint(hint, kinds, key)
        kept[key] = _kept(inner, value, f"{path}.{key}".lstrip("."), switched, typed, left)
    return kept


def _hint(hint: Any, kinds: list[Any], key: str) -> Any:
    """What is known of a key's value: of a dataclass's field, or of a mapping's values."""
    found = (typing.get_type_hints(kind).get(key) for kind in kinds)
    values = (get_args(hint) or (None,))[-1]
    return next((inner for inner in found if inner is not None), values)


def _of_one_kind(
    kinds: list[Any], data: Mapping[str, Any], path: str, typed: set[str], left: list[str]
) -> dict[str, Any]:
    fields = {_tag(kind): {f.name for f in dataclasses.fields(kind)} for kind in kinds}
    own, every = fields.get(data.get("type"), set()), set().union(*fields.values())
    other = {
        key
        for key in data
        if own and key in every - own and not any(_under(name, f"{path}.{key}") for name in typed)
    }
    say = f"is left out: {path}.type={data.get('type')} has no such key."
    left += [f"{path}.{key}={data[key]} of the config {say}" for key in data if key in other]
    return {key: value for key, value in data.items() if key not in other}


def _tag(kind: Any) -> Any:
    return (get_args(typing.get_type_hints(kind).get("type")) or ("",))[0]


def _under(name: str, path: str) -> bool:
    return name == path or name.startswith(f"{path}.")
