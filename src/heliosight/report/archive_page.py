"""The list of issued forecasts, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from heliosight.report.page import TEMPLATES
from heliosight.report.wording import Words

MOST = 500


@final
@dataclass(frozen=True)
class ListedForecast:
    """One archive entry: its name, first and last issue time, whether it has a page."""

    name: str
    first: str
    last: str
    count: int
    page: bool
    verified: bool


def render_archive(entries: Sequence[ListedForecast], language: str) -> str:
    """The list as HTML without a script."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = list(reversed(entries))[:MOST]
    return environment.get_template("archive.html").render(
        t=Words(language, "issued"), entries=shown, count=len(entries)
    )
