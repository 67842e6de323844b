"""What a user wants fetched, from a config to files on disk."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from heliosight.core.clock import DAY, to_seconds, to_text
from heliosight.core.errors import ConfigError
from heliosight.data.archives.catalogue import chosen, expected, fetch
from heliosight.data.archives.jsoc import require_email
from heliosight.data.archives.source import Source, Wish
from heliosight.data.net.client import Client
from heliosight.data.net.download import Outcome
from heliosight.data.net.ledger import alone
from heliosight.data.net.pace import Pace

LIVE_SPAN = 30 * DAY


@dataclass(frozen=True)
class FetchConfig:
    """Which archives are asked for what; the network is used by `heliosight data fetch` alone.

    Attributes
    ----------
    sources : names; `heliosight data fetch --dry-run` lists what each would ask for.
    folder : where files and their ledger go; what lies there is not fetched again.
    start, end : span [start, end), ISO 8601; empty for the last 30 days and for now.
    hours : spacing of images.
    parallel : files at once.
    per_second : requests a second to one host.
    email : address registered at JSOC, for its exports.
    mirrors : `host=address` each, the address to use instead of a host.
    allowed_hosts : where a redirect may lead besides the archive's own hosts.
    """

    sources: tuple[str, ...] = ("omni2", "gfz_kp")
    folder: str = "archives"
    start: str = ""
    end: str = ""
    hours: int = 6
    parallel: int = 4
    per_second: float = 2.0
    email: str = ""
    mirrors: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.hours < 1 or 24 % self.hours:
            raise ConfigError(
                "images are a divisor of 24 hours apart", str(self.hours), where="fetch.hours"
            )
        if not 1 <= self.parallel <= 16:
            raise ConfigError(
                "1 to 16 files come at once", str(self.parallel), where="fetch.parallel"
            )
        if not 0 < self.per_second <= 20:
            raise ConfigError(
                "a host is asked at most 20 times a second", f"{self.per_second:g}",
                where="fetch.per_second",
            )  # fmt: skip
        for text in self.mirrors:
            host, _, address = text.partition("=")
            if not host or not address.startswith(("https://", "http://")):
                raise ConfigError(
                    "a mirror is host=address", repr(text),
                    "For example kp.gfz.de=https://mirror.example/gfz.", "fetch.mirrors",
                )  # fmt: skip


def wish_of(config: FetchConfig, now: int) -> Wish:
    """The wish of a config at a moment [UTC seconds].

    Raises
    ------
    ConfigError : a time that is none, an empty span, a span in the future.
    """
    end = _time(config.end, now, "fetch.end")
    start = _time(config.start, end - LIVE_SPAN, "fetch.start")
    if not start < min(end, now):
        raise ConfigError(
            "a span begins before it ends, and not in the future",
            f"{config.start or 'end - 30 d'} to {config.end or 'now'}", where="fetch.start",
        )  # fmt: skip
    return Wish(Path(config.folder), start, end, config.hours, now, config.email)


def _time(text: str, default: int, where: str) -> int:
    try:
        return to_seconds(text) if text else default
    except ValueError as error:
        raise ConfigError("a time is ISO 8601", repr(text), where=where) from error


def plan_lines(config: FetchConfig, now: int) -> tuple[str, ...]:
    """What would be asked for, without asking."""
    wish = wish_of(config, now)
    span = f"{to_text(wish.start)} to {to_text(wish.end)}, into {wish.root}"
    return (span, *expected(chosen(config.sources), wish))


def _sources(config: FetchConfig) -> list[Source]:
    """The sources of a config; what they lack is told before hours of other files are fetched."""
    found = chosen(config.sources)
    if any(source.name.endswith("_jsoc") for source in found):
        require_email(config.email)
    return found


def run_fetch(config: FetchConfig, again: bool = False, now: float | None = None) -> Outcome:
    """Fetch what the config names.

    Parameters
    ----------
    again : ask also for files that are here and fresh.
    now : UTC seconds of the run; the machine's clock when None.
    """
    sources = _sources(config)
    wish = wish_of(config, int(time.time() if now is None else now))
    hosts = {*config.allowed_hosts, *(host for source in sources for host in source.hosts)}
    pace = Pace(config.per_second)
    client = Client(
        pace=pace, mirrors=dict(text.split("=", 1) for text in config.mirrors), allowed=hosts,
        clock=time.time,
    )  # fmt: skip
    with alone(wish.root):
        return fetch(sources, wish, client, config.parallel, again)
