"""One GET, politely: paced, retried, resumed, bounded, and never led to a strange host.

The standard library is enough: ranges, conditional requests and redirects are a page of code, and
nothing is imported that could reach out by itself. RFC 9110 is the source of every header used.
"""

from __future__ import annotations

import email.utils
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final
from urllib.parse import urljoin, urlsplit, urlunsplit

from heliosight import __version__
from heliosight.data.net.errors import (
    Moved,
    NotPublished,
    RateLimited,
    Truncated,
    Unreachable,
    WrongAnswer,
)
from heliosight.data.net.pace import Pace

AGENT = f"heliosight/{__version__} (space-weather research; Python urllib)"
CHUNK = 1 << 16
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({429, 503})
_MOST_REDIRECTS = 5
# A server that trickles below this many bytes a second is as good as down [B/s].
SLOWEST = 2000.0


@final
@dataclass(frozen=True)
class Answer:
    """Headers of a finished answer.

    Attributes
    ----------
    unchanged : the server said 304, nothing was sent.
    url : where the bytes came from, after redirects.
    skew : the server's clock minus this machine's [s]; None when it did not say.
    """

    url: str
    unchanged: bool = False
    etag: str = ""
    modified: str = ""
    skew: float | None = None


class _Retry(Exception):
    """The same request may succeed later; carries what to say when it does not."""

    def __init__(self, error: Exception, wait: float | None = None) -> None:
        self.error, self.wait = error, wait
        super().__init__(str(error))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def http_error_302(self, *args: Any, **kwargs: Any) -> None:
        """Leave every redirect to the client, unread: an odd address is a ValueError in urllib."""

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


@final
@dataclass(frozen=True)
class Client:
    """How to ask.

    Attributes
    ----------
    pace : turns at each host.
    timeout : longest silence of a server [s].
    retries : further attempts after the first.
    patience : longest wait that a server may ask for [s].
    mirrors : base URL to use instead of `https://host`, by host.
    allowed : further hosts that a redirect may lead to.
    """

    pace: Pace = field(default_factory=lambda: Pace(2.0))
    timeout: float = 60.0
    retries: int = 4
    patience: float = 120.0
    mirrors: Mapping[str, str] = field(default_factory=dict)
    allowed: Collection[str] = ()
    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.time

    def download(
        self, url: str, part: Path, limit: int, validators: Mapping[str, str] | None = None
    ) -> Answer:
        """Write the document at `url` to `part`; bytes that `part` holds already are not asked for.

        Parameters
        ----------
        limit : the longest document accepted [bytes].
        validators : `etag` and `modified` of the copy on disk, to be answered 304; those of a
            `part` lie beside it as `<part>.of`.

        Raises
        ------
        Unreachable, RateLimited, Truncated : after the last retry.
        NotPublished, Moved, WrongAnswer : at once.
        """
        at = self._mirrored(url)
        attempt = 0
        while True:
            try:
                return self._follow(at, part, limit, validators or {})
            except _Retry as retry:
                wait = 2.0**attempt if retry.wait is None else retry.wait
                if wait > self.patience or attempt >= self.retries:
                    raise retry.error from retry
                self.pace.rest(_host(at), wait)
                self.sleep(wait)
            attempt += 1

    def _mirrored(self, url: str) -> str:
        parts = urlsplit(url)
        base = self.mirrors.get(parts.netloc)
        return base.rstrip("/") + urlunsplit(("", "", *parts[2:])) if base else url

    def _follow(self, url: str, part: Path, limit: int, validators: Mapping[str, str]) -> Answer:
        first = url
        for _ in range(_MOST_REDIRECTS + 1):
            self.pace.wait(_host(url))
            target = self._once(url, part, limit, validators)
            if isinstance(target, Answer):
                return target
            _check_redirect(first, url, target, self.allowed)
            url = target
        raise Moved("redirects end", f"more than {_MOST_REDIRECTS}", "Report it.", first)

    def _once(
        self, url: str, part: Path, limit: int, validators: Mapping[str, str]
    ) -> Answer | str:
        """The answer, or the URL of a redirect."""
        have, tag = _begun(part)
        request = urllib.request.Request(url, headers=_headers(have, tag, validators))
        started = self.clock()
        try:
            with _OPENER.open(request, timeout=self.timeout) as reply:
                answer = self._answer(reply.headers, url)
                _prepare(part, reply, have, limit, url)
                _store(part, reply, limit, url, lambda: self.clock() - started)
                return answer
        except urllib.error.HTTPError as error:
            with error:
                return self._refused(error, url, part)
        except (OSError, http.client.HTTPException) as error:
            raise _Retry(
                Unreachable("an archive answers", _reason(error), "Try again later.", url)
            ) from error

    def _answer(self, headers: Any, url: str, unchanged: bool = False) -> Answer:
        told = _moment(headers.get("Date"))
        skew = None if told is None else told - self.clock()
        modified = headers.get("Last-Modified", "")
        return Answer(url, unchanged, headers.get("ETag", ""), modified, skew)

    def _refused(self, error: urllib.error.HTTPError, url: str, part: Path) -> Answer | str:
        code, said = error.code, f"HTTP {error.code} {_first_words(error)}"
        if code == 304:
            return self._answer(error.headers, url, unchanged=True)
        if code in _REDIRECTS and error.headers.get("Location"):
            return _target(url, error.headers["Location"])
        if code in (404, 410):
            raise NotPublished(
                "an archive has the file asked for", said, "It may not be published yet.", url
            )
        if code == 416:
            drop(part)
            raise _Retry(Truncated("a range continues a file", said, "Run it again.", url), 0.0)
        wait = _retry_after(error.headers.get("Retry-After"), self.clock())
        if code in _BUSY and (wait is not None or code == 429):
            rule = "an archive is asked no faster than it allows"
            asked = f"{said}, Retry-After {wait:.0f} s" if wait is not None else said
            raise _Retry(RateLimited(rule, asked, "Run it again later.", url), wait)
        if code >= 500:
            raise _Retry(Unreachable("an archive answers", said, "Try again later.", url))
        raise WrongAnswer("an archive gives the file asked for", said, "Check the request.", url)


_OPENER = urllib.request.build_opener(_NoRedirect)


def drop(part: Path) -> None:
    """Remove a partial file and what it is part of."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".of")


def _begun(part: Path) -> tuple[int, str]:
    """Bytes already there and the validator of the document they belong to."""
    tag = _note(part).read_text() if _note(part).is_file() else ""
    have = part.stat().st_size if part.is_file() else 0
    return (have, tag) if have and tag else (0, "")


def _headers(have: int, tag: str, validators: Mapping[str, str]) -> dict[str, str]:
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if have:
        return {**headers, "Range": f"bytes={have}-", "If-Range": tag}
    if validators.get("etag"):
        headers["If-None-Match"] = validators["etag"]
    elif validators.get("modified"):
        headers["If-Modified-Since"] = validators["modified"]
    return headers


def _prepare(part: Path, reply: Any, have: int, limit: int, url: str) -> None:
    """Keep what continues the part, else begin it anew; refuse what is too long or encoded."""
    encoding = reply.headers.get("Content-Encoding", "identity")
    if encoding not in ("", "identity"):
        raise WrongAnswer("an answer comes as it is", f"Content-Encoding {encoding}", where=url)
    continued = reply.status == 206
    begins = reply.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
    if continued and begins != str(have):
        drop(part)
        raise _Retry(Truncated("a range begins where it was asked", begins, "", url), 0.0)
    length = (_length(reply.headers) or 0) + (have if continued else 0)
    _check_length(length, limit, url)
    if not continued:
        drop(part)
        part.parent.mkdir(parents=True, exist_ok=True)
        tag = reply.headers.get("ETag", "")
        strong = tag if tag and not tag.startswith("W/") else reply.headers.get("Last-Modified", "")
        if strong:
            _note(part).write_text(strong)


def _check_length(length: int, limit: int, url: str) -> None:
    if length > limit:
        raise WrongAnswer(
            "an answer is no longer than the file it should be",
            f"{length} bytes, at most {limit}",
            "The archive has changed, or this is another file.",
            url,
        )


def _store(part: Path, reply: Any, limit: int, url: str, elapsed: Callable[[], float]) -> None:
    expected = _length(reply.headers)
    got = 0
    with part.open("ab") as stream:
        while chunk := reply.read1(CHUNK):
            got += len(chunk)
            if stream.tell() + len(chunk) > limit:
                stream.close()
                drop(part)
                _check_length(limit + 1, limit, url)
            stream.write(chunk)
            if elapsed() > 60.0 + got / SLOWEST:
                rule = f"an archive sends more than {SLOWEST:.0f} bytes a second"
                raise _Retry(Unreachable(rule, f"{got} in {elapsed():.0f} s", "", url))
    if expected is not None and got < expected:
        came = f"{got} of {expected} bytes"
        raise _Retry(Truncated("an answer arrives whole", came, "Run it again to go on.", url))


def _target(url: str, location: str) -> str:
    """The address that a redirect names; one that cannot be asked raises `Moved`."""
    try:
        target = urljoin(url, location)
        urlsplit(target).port  # noqa: B018 (read for its check)
        if not target.isascii() or not target.isprintable() or " " in target:
            raise ValueError("not a plain address")
    except ValueError as error:
        raise Moved(
            "a redirect names an address", f"{location[:200]!r}", "Report it.", url
        ) from error
    return target


def _check_redirect(first: str, url: str, target: str, allowed: Collection[str]) -> None:
    old, new = urlsplit(url), urlsplit(target)
    safe = new.scheme == "https" or (new.scheme == "http" and old.scheme == "http")
    if safe and (new.netloc in (old.netloc, urlsplit(first).netloc) or new.hostname in allowed):
        return
    raise Moved(
        "a redirect stays on its host or goes to an allowed one, and never from https to http",
        f"to {target[:200]}",
        "If that is the archive's new home, add its host to fetch.allowed_hosts.",
        first,
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _retry_after(text: str | None, now: float) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date."""
    if not text:
        return None
    if text.strip().isdecimal():
        return float(text)
    moment = _moment(text)
    return None if moment is None else max(0.0, moment - now)


def _moment(text: str | None) -> float | None:
    """UTC seconds of an HTTP date; None when there is none that can be read."""
    try:
        return email.utils.parsedate_to_datetime(text or "").timestamp()
    except (ValueError, OverflowError):
        return None


def _length(headers: Any) -> int | None:
    """The promised length of a body; None when there is none that can be read."""
    text = str(headers.get("Content-Length") or "")
    return int(text) if text.isdecimal() and len(text) < 16 else None


def _reason(error: BaseException) -> str:
    inner = getattr(error, "reason", None)
    return str(inner or error) or type(error).__name__


def _first_words(error: urllib.error.HTTPError) -> str:
    try:
        text = error.read(400).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return str(error.reason)
    return " ".join(text.split())[:80] or str(error.reason)
