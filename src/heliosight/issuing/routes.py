"""Which paths the server answers, made from the archive's ledger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from heliosight.core.errors import RecordError
from heliosight.core.files import is_sealed
from heliosight.issuing.archive import Archive, Listed
from heliosight.issuing.server import Answer

KINDS = {
    "page.en.html": "text/html; charset=utf-8",
    "page.ko.html": "text/html; charset=utf-8",
    "forecast.json": "application/json",
    "forecast.nc": "application/x-netcdf",
}
LATEST = "latest"
HTML = "text/html; charset=utf-8"
Index = Callable[[list[Listed], str], str]


def routes(archive: Archive, index: Index) -> dict[str, Answer]:
    """Answers by path.

    `/` and `/ko` list the archive, `/latest/FILE` is of the newest forecast with a page,
    `/entries/NAME/FILE` of any.

    index : makes the list of entries in a language.
    """
    listed = [e for e in archive.listed() if _is_whole(archive, e)]
    found = {
        "/": Answer(HTML, index(listed, "en").encode()),
        "/ko": Answer(HTML, index(listed, "ko").encode()),
    }
    newest: Listed | None = None
    for entry in listed:
        files = _files(archive.entry(entry.name))
        found |= {f"/entries/{entry.name}/{n}": Answer(KINDS[n], file=p) for n, p in files.items()}
        newest = entry if "page.en.html" in files else newest
    if newest is not None:
        files = _files(archive.entry(newest.name))
        found |= {f"/{LATEST}/{n}": Answer(KINDS[n], file=p) for n, p in files.items()}
    return found


def _is_whole(archive: Archive, entry: Listed) -> bool:
    """True of a finished folder of the archive itself; a link in its place is not shown."""
    try:
        return is_sealed(archive.entry(entry.name))
    except RecordError:
        return False


def _files(folder: Path) -> dict[str, Path]:
    """The files of an entry that may be shown; a link to elsewhere is none of them."""
    paths = {name: folder / name for name in KINDS}
    return {n: p for n, p in paths.items() if p.is_file() and not p.is_symlink()}
