"""Words of the report in the reader's language, from JSON files.

`words/<language>.json` holds the report's own words by key, `words/<page>.<language>.json` those of
another page; `words/sentences.<language>.json` the sentences that records carry in English, with
places `{n}` for numbers and names. A sentence that is not there stays English.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import final

WORDS = Path(__file__).parent / "words"
VERDICT = re.compile(
    r"Fault: (?P<fault>.+? in [^:]+): (?P<rest>.+?)"
    r"(?: Then: (?P<more>.+?)(?P<cut> and more)?\.)?(?: (?P<open>\d+) questions? stays? open\.)?"
)
NAMED = ("remedy", "system", "modality", "subject")  # families whose names a place may hold


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
        """A record's sentence in this language; None where it has only the English one.

        Sentences joined by "; " are taken one by one where the whole is not known.
        """
        whole = self._one(english)
        if whole is not None or "; " not in english or not self._sentences:
            return whole
        parts = [self._one(part) for part in english.split("; ")]
        return None if None in parts else "; ".join(filter(None, parts))

    def _one(self, english: str) -> str | None:
        fixed = self._sentences.get(english)
        if fixed is not None:
            return fixed
        if english.startswith("Fault: ") and self._sentences:
            return self._verdict(english)
        for pattern, text in _patterns(f"sentences.{self.language}.json"):
            found = pattern.fullmatch(english)
            if found is not None:
                values = {k: self._named(k, v) for k, v in found.groupdict().items()}
                return text.format(**values)
        return self._fault(english)

    def _verdict(self, english: str) -> str | None:
        """`Fault: ...`, the verdict on all findings, piece by piece."""
        found = VERDICT.fullmatch(english)
        reason, action = self._two(found["rest"]) if found else (None, None)
        fault = self._fault(found["fault"]) if found else None
        if found is None or fault is None or reason is None or action is None:
            return None
        told = [self("told_fault", fault=fault, reason=reason), action]
        if found["more"]:
            key = "told_more_cut" if found["cut"] else "told_more"
            told.append(self(key, faults=self._named("faults", found["more"])))
        if found["open"]:
            told.append(self("told_open", n=found["open"]))
        return " ".join(filter(None, told))

    def _two(self, english: str) -> tuple[str | None, str | None]:
        """Reason and action of `reason. action`, where both are known; the action may be empty."""
        for dot in re.finditer(r"\. ?", english):
            reason, rest = self.sentence(english[: dot.start()]), english[dot.end() :].strip()
            action = self.sentence(rest) if rest else ""
            if reason is not None and action is not None:
                return reason, action
        return None, None

    def _named(self, place: str, value: str) -> str:
        """Names in a list by their words, where the place says of which family they are."""
        family = place.rstrip("0123456789")
        if family == "faults":
            return ", ".join(self._fault(one) or one for one in value.split(", "))
        if family not in NAMED:
            return value
        return ", ".join(self.name(family, one) for one in value.split(", "))

    def _fault(self, english: str) -> str | None:
        """`state not carried in cell.images.0`, as faults are told."""
        cause, _, subject = english.rpartition(" in ")
        key = cause.replace(" ", "_")
        if f"cause.{key}" not in self._table or self.language == "en":
            return None
        return f"{self.name('subject', subject)}: {self.name('cause', key)}"


@cache
def _patterns(file: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Sentences with places, as patterns; the most fixed text first."""
    found = [(english, text) for english, text in _load(file).items() if "{" in english]
    found.sort(key=lambda pair: -len(re.sub(r"{\w+}", "", pair[0])))
    return tuple((re.compile(_expression(english)), text) for english, text in found)


def _expression(english: str) -> str:
    pieces = re.split(r"{(\w+)}", english)
    return "".join(
        f"(?P<{piece}>(?:(?!\\. )[^;])+?)" if place % 2 else re.escape(piece)
        for place, piece in enumerate(pieces)
    )


@cache
def _load(file: str) -> dict[str, str]:
    path = WORDS / file
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
