"""Config checks in one line each."""

from __future__ import annotations

from heliosight.core.errors import ConfigError


def require(holds: bool, rule: str, came: object, do: str = "", where: str = "") -> None:
    """Raise `ConfigError` unless `holds`."""
    if not holds:
        raise ConfigError(rule, repr(came), do, where)
