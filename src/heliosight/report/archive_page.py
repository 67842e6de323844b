"""The list of issued forecasts, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

from heliosight.report.environment import environment
from heliosight.report.wording import Words

MOST = 500
VerifiedWith = Literal["", "preliminary", "definitive"]


@final
@dataclass(frozen=True)
class ListedForecast:
    """One archive entry: its name, first and last issue time, whether it has a page.

    verified : `preliminary`, `definitive` or empty. live : made before its outcome began.
    """

    name: str
    first: str
    last: str
    count: int
    page: bool
    verified: VerifiedWith
    live: bool


def render_archive(entries: Sequence[ListedForecast], language: str) -> str:
    """The list as HTML without a script."""
    shown = list(reversed(entries))[:MOST]
    return (
        environment()
        .get_template("archive.html")
        .render(t=Words(language, "issued"), entries=shown, count=len(entries))
    )
