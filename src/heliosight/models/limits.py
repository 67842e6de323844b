"""Ranges that several configs share, refused in one voice."""

from __future__ import annotations

from typing import Any

from heliosight.core.errors import ConfigError


def positive(config: Any, *keys: str) -> None:
    """Refuse a count below 1."""
    for key in keys:
        value = getattr(config, key)
        if value < 1:
            raise ConfigError("this key is at least 1", str(value), where=_where(config, key))


def fraction(config: Any, key: str) -> None:
    """Refuse a share outside [0, 1)."""
    value = getattr(config, key)
    if not 0 <= value < 1:
        raise ConfigError("this key lies in [0, 1)", str(value), where=_where(config, key))


def divides(config: Any, part: str, whole: str) -> None:
    """Refuse a `whole` that `part` does not divide."""
    a, b = getattr(config, part), getattr(config, whole)
    if b % a:
        raise ConfigError(
            f"{part} divides {whole}",
            f"{part}={a}, {whole}={b}",
            f"Use {whole}={b - b % a or a} or {whole}={b - b % a + a}.",
            _where(config, whole),
        )


def odd(config: Any, key: str) -> None:
    """Refuse an even kernel: it would shift the map."""
    value = getattr(config, key)
    if value < 1 or value % 2 == 0:
        raise ConfigError(
            "a kernel is odd, so that maps keep their place", str(value), where=_where(config, key)
        )


def _where(config: Any, key: str) -> str:
    name = getattr(config, "type", type(config).__name__)
    return f"{name}.{key}"
