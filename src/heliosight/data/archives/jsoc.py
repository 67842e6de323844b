"""JSOC exports: a staged request under a registered e-mail, its state, and its list of files.

Source: JSOC's `jsoc_fetch` service as the drms package documents it. Status 0 is ready, 1 and 2
are being staged, 6 is not yet known to the queue; anything else is a refusal with its own words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final
from urllib.parse import urlencode

from heliosight.core.clock import to_text
from heliosight.core.errors import DataError
from heliosight.data.archives.documents import json_of

HOST = "https://jsoc.stanford.edu"
FETCH = f"{HOST}/cgi-bin/ajax/jsoc_fetch"
SERIES = {
    "aia_193": "aia.lev1_euv_12s[{start}/{span}@{cadence}][193]{{image}}",
    "aia_211": "aia.lev1_euv_12s[{start}/{span}@{cadence}][211]{{image}}",
    "hmi_magnetogram": "hmi.m_720s[{start}_TAI/{span}@{cadence}]{{magnetogram}}",
}
_READY, _PENDING = 0, (1, 2, 6)
_REQUEST = re.compile(r"JSOC_\d{8}_\d+(_X_IN)?")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@final
@dataclass(frozen=True)
class Export:
    """A request as JSOC sees it: its number, whether it is ready, and its files by record."""

    request: str
    ready: bool
    urls: tuple[str, ...] = ()


def record_set(channel: str, start: int, days: int, hours: int) -> str:
    """The record set of a channel: so many days from `start` (UTC seconds), one every `hours`."""
    # AIA's images are observed seconds after their slot: two minutes earlier is before it
    begin = (
        to_text(start - (0 if channel.startswith("hmi") else 120))
        .removesuffix("Z")
        .replace("-", ".")
        .replace("T", "_")
    )
    return SERIES[channel].format(start=begin, span=f"{days}d", cadence=f"{hours}h")


def request_url(records: str, email: str) -> str:
    """The address that stages an export of FITS files with their keywords."""
    require_email(email)
    asked = {
        "op": "exp_request", "ds": records, "notify": email, "requestor": email.split("@")[0],
        "method": "url", "protocol": "FITS,compress Rice",
        "filenamefmt": "{seriesname}.{T_REC:A}.{WAVELNTH}.{segment}", "process": "n=0|no_op",
        "format": "json",
    }  # fmt: skip
    return f"{FETCH}?{urlencode(asked)}"


def require_email(email: str) -> None:
    """Raise `DataError` unless there is an e-mail address, which JSOC asks for."""
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email):
        raise DataError(
            "a JSOC export needs an e-mail address registered at JSOC", repr(email),
            "Register at jsoc.stanford.edu/ajax/register_email.html, then set fetch.email.",
        )  # fmt: skip


def status_url(request: str) -> str:
    """The address that tells how far a request is."""
    return f"{FETCH}?{urlencode({'op': 'exp_status', 'requestid': request, 'format': 'json'})}"


def read_export(data: bytes) -> Export:
    """What JSOC says about a request.

    Raises
    ------
    DataError : a web page, a refusal (with JSOC's words), a strange request number or file name,
        an export that is ready and has no file.
    """
    answer = json_of(data, "a JSOC answer")
    status = _status(answer)
    if status != _READY and status not in _PENDING:
        raise DataError(
            "JSOC accepts an export", f"status {status}: {str(answer.get('error'))[:160]}",
            "An unregistered e-mail is the usual reason; else check the record set.",
        )  # fmt: skip
    request = str(answer.get("requestid") or "")
    if not _REQUEST.fullmatch(request):
        raise DataError("a JSOC request has a number", repr(request[:60]), "Request it again.")
    if status != _READY:
        return Export(request, False)
    return Export(request, True, _urls(answer))


def _status(answer: Any) -> int:
    try:
        return int(answer["status"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            "a JSOC answer has a status", repr(answer)[:80], "The service has changed."
        ) from error


def _urls(answer: Mapping[str, Any]) -> tuple[str, ...]:
    folder, listed = str(answer.get("dir") or ""), answer.get("data")
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", folder) or ".." in folder:
        raise DataError("a ready export lies in a folder of JSOC", repr(folder[:80]))
    if not isinstance(listed, list) or not listed:
        raise DataError(
            "a ready export has files", repr(listed)[:80], "No record lies in that span."
        )
    names = [str(row.get("filename")) if isinstance(row, Mapping) else "" for row in listed]
    for name in names:
        if not _FILE.fullmatch(name) and not name.startswith("No image"):
            raise DataError("an exported file has a plain name", repr(name[:80]), where=folder)
    return tuple(f"{HOST}{folder}/{name}" for name in names if _FILE.fullmatch(name))
