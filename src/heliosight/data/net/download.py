"""Many files at once: what is here is kept, what fails is told, the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import final
from urllib.parse import urlsplit

from heliosight.core.clock import to_seconds, to_text
from heliosight.core.errors import DataError
from heliosight.core.files import sha256
from heliosight.core.progress import bar
from heliosight.data.net.client import Answer, Client, drop
from heliosight.data.net.errors import (
    FetchError,
    HashMismatch,
    NotPublished,
    Unreachable,
    WrongAnswer,
    WrongClock,
    nameless,
)
from heliosight.data.net.ledger import Entry, Ledger, place

CLOCK_TOLERANCE = 300.0
_GIVE_UP = 3


@final
@dataclass(frozen=True)
class Item:
    """One file to fetch.

    Attributes
    ----------
    urls : tried in order; a later one only when the earlier is not published.
    path : where it goes, relative to the folder.
    estimate, limit : bytes it probably has, and the most that is accepted.
    check : reads the bytes as its archive's reader would, and raises `DataError` if it cannot.
    fresh_for : seconds after which the archive is asked again; None when the file never changes.
    live : a document of now, for which the two clocks must agree.
    sha256 : the hash it must have, when that is known.
    """

    source: str
    urls: tuple[str, ...]
    path: str
    estimate: int
    limit: int
    check: Callable[[bytes], object]
    fresh_for: float | None = None
    live: bool = False
    sha256: str = ""


@final
@dataclass(frozen=True)
class Terms:
    """Under which terms a source gives its files."""

    licence: str
    citation: str


@final
@dataclass
class Outcome:
    """What a run did: new files, files kept, stated gaps, errors by path, remarks."""

    fetched: list[Entry] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    gaps: dict[str, str] = field(default_factory=dict)
    failed: dict[str, FetchError] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Take over what another stage did."""
        self.fetched += other.fetched
        self.kept += other.kept
        self.gaps |= other.gaps
        self.failed |= other.failed
        self.notes += [note for note in other.notes if note not in self.notes]


@final
class Fetcher:
    """Fetches items into one folder with one client."""

    def __init__(
        self, root: Path, client: Client, terms: Mapping[str, Terms], parallel: int = 4
    ) -> None:
        self.ledger = Ledger(root)
        self._root, self._client, self._terms = Path(root), client, terms
        self._parallel = parallel
        self._silent: dict[str, int] = {}

    def all(self, items: Iterable[Item], again: bool = False) -> Outcome:
        """Every item; one that fails does not stop the others.

        A host that did not answer three items in a row is not asked for the rest.

        Parameters
        ----------
        again : ask also for files that are here and fresh.
        """
        outcome = Outcome()
        wanted = [item for item in items if not self._has(item, again, outcome)]
        if not wanted:
            return outcome
        with ThreadPoolExecutor(self._parallel) as pool, bar("fetching", len(wanted)) as running:
            futures = {pool.submit(self._one, item, outcome): item for item in wanted}
            try:
                for future in as_completed(futures):
                    self._tell(futures[future], future.exception(), outcome)
                    running.advance(note=futures[future].path)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return outcome

    def _has(self, item: Item, again: bool, outcome: Outcome) -> bool:
        if again or not self._is_fresh(item):
            return False
        outcome.kept.append(item.path)
        return True

    def _is_fresh(self, item: Item) -> bool:
        self._finish(item)
        entry = self.ledger.whole(item.path)
        if entry is None:
            return False
        age = self._client.clock() - to_seconds(entry.retrieved)
        return item.fresh_for is None or 0 <= age < item.fresh_for

    def _finish(self, item: Item) -> None:
        """Put a file in place that a killed run had entered but not yet renamed."""
        path = place(self._root, item.path)
        part, entry = path.with_name(path.name + ".part"), self.ledger.entries.get(item.path)
        if entry and part.is_file() and sha256(part) == entry.sha256:
            part.replace(path)
            drop(part)

    def _tell(self, item: Item, error: BaseException | None, outcome: Outcome) -> None:
        if isinstance(error, NotPublished):
            outcome.gaps[item.path] = str(error)
        elif isinstance(error, FetchError):
            outcome.failed[item.path] = error
        elif error is not None:
            raise error

    def _one(self, item: Item, outcome: Outcome) -> None:
        host = urlsplit(item.urls[0]).netloc
        if self._silent.get(host, 0) >= _GIVE_UP:
            raise Unreachable(
                "a host that answered nothing is left alone", f"{_GIVE_UP} failures in a row",
                "Run it again later.", item.urls[0],
            )  # fmt: skip
        try:
            self._first_published(item, outcome)
        except Unreachable:
            self._silent[host] = self._silent.get(host, 0) + 1
            raise
        self._silent[host] = 0

    def _first_published(self, item: Item, outcome: Outcome) -> None:
        for url in item.urls[:-1]:
            try:
                return self._from(url, item, outcome)
            except NotPublished:
                continue
        return self._from(item.urls[-1], item, outcome)

    def _from(self, url: str, item: Item, outcome: Outcome) -> None:
        path = place(self._root, item.path)
        part = path.with_name(path.name + ".part")
        old = self.ledger.whole(item.path)
        known = (
            {"etag": old.etag, "modified": old.modified} if old and old.url == nameless(url) else {}
        )
        answer = self._client.download(url, part, item.limit, known)
        self._check_clock(answer, item, outcome)
        if answer.unchanged and old is not None:
            self.ledger.add(replace(old, retrieved=to_text(self._client.clock())))
            outcome.kept.append(item.path)
            return
        digest = _checked(part, item, url)
        entry = self._entry(item, answer, digest, part.stat().st_size, url)
        self.ledger.add(entry)
        part.replace(path)
        drop(part)
        outcome.fetched.append(entry)

    def _check_clock(self, answer: Answer, item: Item, outcome: Outcome) -> None:
        if answer.skew is None or abs(answer.skew) <= CLOCK_TOLERANCE:
            return
        told = f"the server's clock is {answer.skew:+.0f} s from this machine's"
        if item.live:
            raise WrongClock(
                "both clocks agree within 5 min when the newest values are asked for",
                told,
                "Set this machine's clock.",
                answer.url,
            )
        note = f"{urlsplit(answer.url).netloc}: {told}; retrieval times are this machine's"
        if note not in outcome.notes:
            outcome.notes.append(note)

    def _entry(self, item: Item, answer: Answer, digest: str, size: int, url: str) -> Entry:
        terms = self._terms[item.source]
        return Entry(
            item.path, item.source, nameless(url), digest, size, to_text(self._client.clock()),
            terms.licence, terms.citation, answer.etag, answer.modified,
        )  # fmt: skip


def _checked(part: Path, item: Item, url: str) -> str:
    """The hash of a finished download that its reader accepts; a refused one is removed."""
    digest = sha256(part)
    try:
        if item.sha256 and digest != item.sha256:
            raise HashMismatch(
                "a file has the hash that is known for it", digest, f"Known: {item.sha256}.", url
            )
        item.check(part.read_bytes())
    except FetchError:
        drop(part)
        raise
    except DataError as error:
        drop(part)
        raise WrongAnswer(
            "an archive answers with the document it is known for", str(error),
            "The archive may have changed or failed: look at the address.", url,
        ) from error  # fmt: skip
    return digest


def summary(outcome: Outcome) -> tuple[str, ...]:
    """A run as plain lines: counts, then each gap and error."""
    size = sum(entry.bytes for entry in outcome.fetched)
    lines = [
        f"fetched {len(outcome.fetched)} files ({size / 1e6:.1f} MB), kept {len(outcome.kept)}, "
        f"{len(outcome.gaps)} gaps, {len(outcome.failed)} failed"
    ]
    lines += [f"  gap: {path}: {text}" for path, text in _first(outcome.gaps.items())]
    lines += [f"  FAILED: {path}: {error}" for path, error in _first(outcome.failed.items())]
    return (*lines, *(f"  note: {text}" for text in outcome.notes))


def _first(items: Iterable[tuple[str, object]], most: int = 20) -> Sequence[tuple[str, object]]:
    listed = sorted(items, key=lambda pair: pair[0])
    more = len(listed) - most
    return [*listed[:most], ("...", f"and {more} more")] if more > 0 else listed
