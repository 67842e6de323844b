"""Makes the gallery of the checks: a picture and a text for each, run when the site is built."""

from __future__ import annotations

import textwrap
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from bench import BY_ID, Case
from cases import SHOWN, Shown

from heliosight.core.records import Finding
from heliosight.diagnosis.verdict import WORDS, number_text

mpl.use("Agg")
ELSEWHERE = ("T9", "T14", "T16")  # they tell a number; USE names the fault
STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "h"}


def make(check: str, folder: Path) -> None:
    """Write `CHECK.svg`, `CHECK.md` (question and picture), `CHECK_said.md` (rule and answers)."""
    shown, asked = SHOWN[check], BY_ID[check]
    cases = (shown.healthy(), shown.ill())
    _picture(check, shown, cases, folder / f"{check}.svg")
    picture = f"![{check}: healthy and ill](../gallery/made/{check}.svg)"
    (folder / f"{check}.md").write_text(f"**{asked.question}**\n\n{picture}\n")
    (folder / f"{check}_said.md").write_text(_said(check, cases))


def _picture(check: str, shown: Shown, cases: tuple[Case, Case], path: Path) -> None:
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(9.2, 2.9), layout="constrained")
        for ax, case in zip(axes, cases, strict=True):
            shown.panel(ax, case, check)
            ax.set_title(
                case.title, fontsize=10, color="#a33" if "ill" in case.title[:4] else "#262"
            )
        low, high = np.transpose([ax.get_xlim() for ax in axes])
        for ax in axes:  # one scale: what is compared must look alike
            ax.set_xlim(low.min(), high.max())
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def _said(check: str, cases: tuple[Case, Case]) -> str:
    asked = BY_ID[check]
    lines = [
        f"- *Rule*: {asked.rule}.",
        f"- *Needs*: {asked.needs}. *Cost*: {asked.cost}. *From level* `{asked.level}` *on.*",
        "", "```text",
    ]  # fmt: skip
    for case in cases:
        found = case.findings(check)
        _require_ill(check, case, found)
        lines += [case.title, *(line for f in found for line in _answer(f)), ""]
    return "\n".join([*lines[:-1], "```", ""])


def _require_ill(check: str, case: Case, found: list[Finding]) -> None:
    """A picture that is called ill shows what its check calls ill."""
    named = any(f.outcome == "fault" for f in found)
    if case.title.startswith("ill") and check not in ELSEWHERE and not named:
        raise RuntimeError(f"{check} names no fault in its picture `{case.title}`")


def _answer(f: Finding) -> list[str]:
    number = f" [{number_text(f.value)}]" if f.value is not None else ""
    cause = f" {f.cause}:" if f.cause else ""
    told = f"{WORDS[f.outcome]:<8} {f.subject}:{cause} {f.reason}{number}"
    lines = textwrap.wrap(told, 80, initial_indent="  ", subsequent_indent=" " * 11)
    more = textwrap.wrap(f"-> {f.action}", 69) if f.action else []
    return [*lines, *(f"{' ' * 11}{line}" for line in more)]
