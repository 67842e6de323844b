"""Plain mappings to frozen dataclasses, strictly: an unknown key is refused with the nearest one.

A field whose annotation is a union of dataclasses is chosen by the mapping's `type`, matched
against each class's `type: Literal[...]` field.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from heliosight.core.errors import ConfigError

T = TypeVar("T")
_SCALARS = (int, float, str, bool)


def build(cls: type[T], data: Mapping[str, Any], path: str = "") -> T:
    """An instance of the dataclass `cls` from a mapping.

    Raises
    ------
    ConfigError : unknown, missing or wrongly typed key, with its full path; whatever the class's
        own `__post_init__` refuses is passed on.
    """
    if not isinstance(data, Mapping):
        raise ConfigError("this key holds a mapping", repr(data), where=path or "config")
    hints, fields = _hints(cls)  # type: ignore[arg-type]
    for key in data:
        if key not in fields:
            raise ConfigError(
                "a config key must exist",
                repr(key),
                _nearest(str(key), fields),
                _join(path, str(key)),
            )
    values = {key: _value(hints[key], value, _join(path, key)) for key, value in data.items()}
    for name, field in fields.items():
        no_default = field.default is dataclasses.MISSING
        if name not in values and no_default and field.default_factory is dataclasses.MISSING:
            raise ConfigError("a required key is missing", name, where=_join(path, name))
    return cls(**values)


@cache
def _hints(cls: type) -> tuple[dict[str, Any], dict[str, dataclasses.Field]]:
    """Types and fields of a dataclass; a scorecard has twenty thousand instances of one."""
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    return typing.get_type_hints(cls), fields


def dump(value: Any) -> Any:
    """A dataclass as plain mappings, lists and scalars; `build` reads it back, equal."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: dump(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): dump(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [dump(item) for item in value]
    return value


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _nearest(key: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.0)
    return f"Nearest valid key: {close[0]!r}. Valid: {', '.join(known)}." if close else ""


def _value(hint: Any, value: Any, path: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _union(get_args(hint), value, path)
    if origin is Literal:
        return _one_of(get_args(hint), value, path)
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else build(hint, value, path)  # type: ignore[arg-type]
    if origin in (tuple, list):
        return _sequence(origin, get_args(hint), value, path)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return _mapping(get_args(hint), value, path)
    return value if hint is Any else _scalar(hint, value, path)


def _union(options: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in options:
        return None
    classes = [o for o in options if dataclasses.is_dataclass(o)]
    if classes and (isinstance(value, Mapping) or len(classes) == len(options)):
        return _tagged(classes, value, path)
    problems = []
    for option in (o for o in options if o is not type(None) and not dataclasses.is_dataclass(o)):
        try:
            return _value(option, value, path)
        except ConfigError as error:
            problems.append(str(error))
    raise ConfigError("a value has one of its key's types", repr(value), " ".join(problems), path)


def _tagged(classes: list[Any], value: Any, path: str) -> Any:
    if any(isinstance(value, c) for c in classes):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError("this key holds a mapping", repr(value), where=path)
    if len(classes) == 1:
        return build(classes[0], value, path)
    tags = {get_args(typing.get_type_hints(c)["type"])[0]: c for c in classes}
    tag = value.get("type")
    if tag not in tags:
        known = _nearest(str(tag), tags)
        raise ConfigError("`type` names a known kind", repr(tag), known, _join(path, "type"))
    return build(tags[tag], value, path)


def _one_of(options: tuple[Any, ...], value: Any, path: str) -> Any:
    if value not in options:
        raise ConfigError(
            "a value is one of its options", repr(value), f"Options: {options}.", path
        )
    return value


def _sequence(origin: Any, args: tuple[Any, ...], value: Any, path: str) -> Any:
    if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__iter__"):
        raise ConfigError("this key holds a list", repr(value), where=path)
    items = list(value)
    fixed = origin is tuple and args and args[-1] is not Ellipsis
    if fixed and len(items) != len(args):
        raise ConfigError(f"this list has {len(args)} items", repr(items), where=path)
    hints = args if fixed else (args[0] if args else Any,) * len(items)
    return origin(
        _value(h, v, f"{path}[{i}]") for i, (h, v) in enumerate(zip(hints, items, strict=True))
    )


def _mapping(args: tuple[Any, ...], value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError("this key holds a mapping", repr(value), where=path)
    hint = args[1] if args else Any
    return {str(key): _value(hint, item, _join(path, str(key))) for key, item in value.items()}


def _scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    right = isinstance(value, hint) and not (hint is int and isinstance(value, bool))
    if not right:
        raise ConfigError(
            f"this key holds {hint.__name__}", f"{type(value).__name__} {value!r}", where=path
        )
    return value
