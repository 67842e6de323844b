"""All sources by name, and the run that fetches some of them."""

from __future__ import annotations

from collections.abc import Sequence

from heliosight.core.errors import DataError
from heliosight.data.archives.image_sources import IMAGE_SOURCES
from heliosight.data.archives.series_sources import SERIES_SOURCES
from heliosight.data.archives.source import Source, Wish
from heliosight.data.net.client import Client
from heliosight.data.net.download import Fetcher, Outcome

SOURCES = {source.name: source for source in (*SERIES_SOURCES, *IMAGE_SOURCES)}


def chosen(names: Sequence[str]) -> list[Source]:
    """The sources of those names.

    Raises
    ------
    DataError : an unknown name.
    """
    for name in names:
        if name not in SOURCES:
            raise DataError("a source is known", repr(name), f"Known: {', '.join(SOURCES)}.")
    return [SOURCES[name] for name in names]


def expected(sources: Sequence[Source], wish: Wish) -> tuple[str, ...]:
    """What will be asked for: files, megabytes and terms of each source, and of all."""
    sizes = [source.expect(wish) for source in sources]
    lines = [
        f"{source.name}: {source.what}; about {files} files, {size / 1e6:.1f} MB "
        f"({source.terms.licence})"
        for source, (files, size) in zip(sources, sizes, strict=True)
    ]
    total = sum(files for files, _ in sizes), sum(size for _, size in sizes)
    return (*lines, f"in all about {total[0]} files, {total[1] / 1e6:.1f} MB; what is here is kept")


def fetch(
    sources: Sequence[Source], wish: Wish, client: Client, parallel: int = 4, again: bool = False
) -> Outcome:
    """Fetch every stage of every source into the wish's folder.

    Parameters
    ----------
    again : ask also for files that are here and fresh.
    """
    terms = {source.name: source.terms for source in sources}
    fetcher = Fetcher(wish.root, client, terms, parallel)
    outcome = Outcome()
    for source in sources:
        for stage in source.plan(wish):
            outcome.add(fetcher.all(stage, again))
    return outcome
