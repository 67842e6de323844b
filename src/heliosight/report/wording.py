"""Words of the report in the reader's language, from JSON files.

`words/<language>.json` holds the report's own words by key, `words/<page>.<language>.json` those of
another page; `words/sentences.<language>.json` the fixed sentences that records carry in English. A
sentence that is not there stays English.
"""

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

    def __init__(self, language: str, page: str = "") -> None:
        self.language = language
        own = _load(f"{page}.{language}.json") if page else {}
        self._table = {**_load(f"{language}.json"), **own}
        self._sentences = _load(f"sentences.{language}.json")

    def __call__(self, key: str, **values: object) -> str:
        """The words of `key` with its placeholders filled."""
        return self._table[key].format(**values)

    def name(self, family: str, name: str) -> str:
        """The translated name of a metric, system, variable or check; the raw name if unknown."""
        return self._table.get(f"{family}.{name}", name)

    def sentence(self, english: str) -> str | None:
        """A record's sentence in this language; None where it has only the English one."""
        return self._sentences.get(english)


@cache
def _load(file: str) -> dict[str, str]:
    path = WORDS / file
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
