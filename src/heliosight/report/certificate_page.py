"""The page of a certificate: every score with its interval, drawn and in a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from heliosight.core.files import write_text
from heliosight.core.records_certificate import Certificate, CertificateRow
from heliosight.report.environment import environment
from heliosight.report.svg import Panel, document, nice_ticks

WIDTH, LEFT, ROW = 760.0, 330.0, 17.0
GROUPS = {
    "Headline": ("sensitivity", "specificity", "first cause", "prescriptions"),
    "Faults": ("sensitivity of",),
    "Healthy models": ("specificity by kind", "false alarms"),
    "Foreign models": ("foreign models",),
    "Manner": ("abstention", "stability"),
    "Published rules of thumb on the same models": ("rule of thumb",),
}


def write_certificate_page(path: Path, certificate: Certificate) -> Path:
    """Write the page as one HTML file, whole or not at all; returns its path."""
    write_text(path, render_certificate_page(certificate))
    return path


def render_certificate_page(certificate: Certificate) -> str:
    """The page as HTML text; every word that was given is escaped."""
    groups = [(title, rows_of(certificate, title)) for title in GROUPS]
    goals = [row for row in certificate.rows if row.goal is not None]
    return (
        environment()
        .get_template("certificate.html")
        .render(
            certificate=certificate,
            goals=goals,
            proved=sum(r.value.low is not None and r.value.low >= (r.goal or 0) for r in goals),
            groups=[(title, rows, dots(rows, title)) for title, rows in groups if rows],
        )
    )


def rows_of(certificate: Certificate, title: str) -> list[CertificateRow]:
    """The scores of one section; headline groups are named in full, the others by their start."""
    names = GROUPS[title]
    if title == "Headline":
        return [row for row in certificate.rows if row.group in names]
    return [row for row in certificate.rows if row.group.startswith(names)]


def dots(rows: Sequence[CertificateRow], title: str) -> Markup:
    """A dot and its interval a score, from 0 to 1, with the goal where one was set."""
    height = 14 + ROW * len(rows) + 40
    panel = Panel(LEFT, 14, WIDTH - LEFT - 20, ROW * len(rows), (0.0, 1.0), (0.0, len(rows)))
    for place, row in enumerate(rows):
        y = len(rows) - place - 0.5
        panel.label(LEFT - 8, panel.py(y) + 3.5, label(row), anchor="end")
        if row.value.low is not None and row.value.high is not None:
            panel.path([row.value.low, row.value.high], [y, y], "whisker", "stroke:currentColor")
        if row.goal is not None:
            panel.path([row.goal, row.goal], [y - 0.45, y + 0.45], "curve bold", "stroke:#b3261e")
        half = 0.004
        span = (row.value.value - half, row.value.value + half)
        panel.bar(span, (y - 0.25, y + 0.25), "dot", "fill:currentColor")
    ticks = nice_ticks(0.0, 1.0)
    panel.x_axis(ticks, [f"{t:g}" for t in ticks], "share of cases, 95 % interval")
    panel.frame()
    return document(WIDTH, height, [panel], f"{title}: shares with their intervals")


def label(row: CertificateRow) -> str:
    """What a score is of, with how many cases."""
    group = row.group.removeprefix("sensitivity of ").removeprefix("rule of thumb, ")
    return f"{group}, {row.name} ({row.hits:g} of {row.count})"
