"""Bytes of an answer to JSON or lines, and a clear sentence when it is something else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from heliosight.core.clock import to_seconds
from heliosight.core.errors import DataError
from heliosight.data.assemble import text_of

MOST_CELLS = 50_000_000


def json_of(data: bytes, what: str) -> Any:
    """The JSON value of a document.

    Raises
    ------
    DataError : a web page, an empty answer, cut-off or too deeply nested JSON.
    """
    text = text_of(data, what, PurePosixPath(what))  # type: ignore[arg-type]
    refuse_page(text, what)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{what} is JSON", f"{str(error)[:80]}, beginning {text[:60]!r}",
            "The answer is cut off, or the service has changed.",
        ) from error  # fmt: skip


def refuse_page(text: str, what: str) -> None:
    """Raise `DataError` when a document is a web page."""
    head = text.lstrip()[:200].lower()
    if head.startswith(("<!doctype", "<html", "<?xml", "<head", "<body")):
        title = head.partition("<title>")[2].partition("</title>")[0]
        raise DataError(
            f"{what} is not a web page",
            f"a page{f' titled {title!r}' if title else ''}",
            "The service is down, has moved, or asks for a login: look at the address.",
        )


def rows_of(value: Any, what: str, fields: Sequence[str]) -> list[Mapping[str, Any]]:
    """A JSON list of objects that have the fields; an older layout is named as such."""
    if isinstance(value, list) and value and isinstance(value[0], list):
        raise DataError(
            f"{what} is a list of objects", "a list of lists with a header row",
            "That is the layout before 2026-03-31: the address is of an old copy.",
        )  # fmt: skip
    if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
        raise DataError(f"{what} is a list of objects", _kind(value), "The service has changed.")
    if not value:
        raise DataError(f"{what} has rows", "an empty list", "Nothing is published now.")
    for name in fields:
        if name not in value[0]:
            raise DataError(
                f"a row of {what} has {', '.join(fields)}",
                f"no {name}; it has {', '.join(map(str, value[0]))[:200]}",
                "The service has changed.",
            )
    return value


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"an object with {', '.join(map(str, value))[:120]}"
    return type(value).__name__


def numbers(values: Sequence[Any], what: str) -> np.ndarray:
    """`(N,)` floats, NaN for null; a text or a list among them raises `DataError`."""
    try:
        if any(isinstance(value, (str, bool)) for value in values):
            raise TypeError("text or truth value")
        return np.array([np.nan if v is None else float(v) for v in values])
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{what} is numbers or null", str(error)[:80], "The service has changed."
        ) from error


def moments(texts: Sequence[Any], what: str) -> np.ndarray:
    """`(N,)` int64 UTC seconds of ISO 8601 texts; a text without zone is UTC."""
    try:
        return np.array([to_seconds(text) for text in texts], dtype=np.int64)
    except (ValueError, AttributeError, TypeError, OverflowError) as error:
        raise DataError(
            f"a time of {what} is ISO 8601", str(error)[:80], "The service has changed."
        ) from error
