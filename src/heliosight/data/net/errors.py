"""What can go wrong between an archive and a file on disk, each kind by its name."""

from __future__ import annotations

import re

from heliosight.core.errors import DataError

_WHO = re.compile(r"(requestor=)[^&\s]*|[^\s&=<>'\"]+(?:@|%40)[^\s&<>'\",;]+")


def nameless(text: str) -> str:
    """A text without the e-mail address that JSOC wants in its addresses: they are kept and shown.

    `nameless` of its own result is that result.
    """
    return _WHO.sub(lambda found: f"{found[1] or ''}(e-mail)", text)


class FetchError(DataError):
    """An archive did not give what was asked; files and ledger are as before.

    No e-mail address is in its text: it goes to logs and records.
    """

    def __init__(self, rule: str, came: str = "", do: str = "", where: str = "") -> None:
        super().__init__(rule, nameless(came), do, nameless(where))


class Unreachable(FetchError):
    """No connection, no answer in time, or the server's own failure, after every retry."""


class NotPublished(FetchError):
    """The archive has no such file (yet): a gap, not a fault."""


class Moved(FetchError):
    """The server sends the client to a host that was not named."""


class RateLimited(FetchError):
    """The archive asks to come back later than this run can wait."""


class Truncated(FetchError):
    """The answer ended early; what came is kept and continued next time."""


class WrongAnswer(FetchError):
    """The answer is not the document it should be: a page, an error text, another format."""


class HashMismatch(WrongAnswer):
    """The bytes are not those whose hash is known."""


class WrongClock(FetchError):
    """Clocks here and at the archive disagree, so "newest" has no meaning."""
