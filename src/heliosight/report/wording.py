"""Words of the report in the reader's language, from one JSON file per language."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import final

WORDS = Path(__file__).parent / "words"


@final
class Words:
    """The words of one language.

    `words("key", n=3)` fills the placeholders; `words.name("metric", "rmse")` gives the word
    `metric.rmse`, or the name itself when the language has none for it.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._table = _load(language)

    def __call__(self, key: str, **values: object) -> str:
        """The words of `key` with its placeholders filled."""
        return self._table[key].format(**values)

    def name(self, family: str, name: str) -> str:
        """The translated name of a metric, system, variable or check; the raw name if unknown."""
        return self._table.get(f"{family}.{name}", name)

    def has(self, key: str) -> bool:
        """True when the language has this word."""
        return key in self._table


@cache
def _load(language: str) -> dict[str, str]:
    return dict(json.loads((WORDS / f"{language}.json").read_text(encoding="utf-8")))
