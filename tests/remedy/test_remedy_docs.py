"""The catalogue in docs/remedy.md is the code's; run as a script, this file writes it."""

import json
from pathlib import Path

from heliosight.remedy import CATALOGUE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "remedy.md"
BEGIN, END = "<!-- catalogue -->\n", "<!-- /catalogue -->"


def table():
    rows = ["| remedy | kind | answers | changes | predicts | tests |", "|---|---|---|---|---|---|"]
    for p in CATALOGUE:
        changes = "<br>".join(f"`{k}`: `{json.dumps(v)}`" for k, v in p.patch.items()) or "nothing"
        answers = ", ".join(f"`{a}`" for a in p.answers)
        tests = ", ".join(p.tests) or "-"
        rows.append(f"| `{p.name}` | {p.cost} | {answers} | {changes} | {p.predicts} | {tests} |")
    why = [f"- `{p.name}`: {p.mechanism}" for p in CATALOGUE]
    return "\n".join(["", *rows, "", "Why each should help:", "", *why, "", ""])


def page(text):
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END, 1)[1]


def test_the_documented_catalogue_is_the_codes():
    text = PAGE.read_text()
    assert page(text) == text, "run python tests/remedy/test_remedy_docs.py"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
