"""Images of the Sun: where each archive keeps them and under which terms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import sleep

import numpy as np

from heliosight.core.clock import DAY
from heliosight.core.errors import DataError
from heliosight.core.variables import IMAGE_CHANNELS
from heliosight.data.archives import helioviewer, jsoc, sdoml
from heliosight.data.archives.source import Plan, Source, Wish, counted, stamp
from heliosight.data.archives.zarr2 import decode_chunk, read_zarray
from heliosight.data.net.download import Item, Terms
from heliosight.data.tai import tai_of_utc, tai_text

SYNOPTIC = "https://jsoc1.stanford.edu/data/aia/synoptic"
HMI_FITS = "https://jsoc1.stanford.edu/data/hmi/fits"
STANFORD = ("jsoc.stanford.edu", "jsoc1.stanford.edu", "jsoc2.stanford.edu")
MB = 1_000_000
SDO_TERMS = Terms(
    "public domain (NASA); acknowledge NASA/SDO and the AIA and HMI science teams",
    "Lemen et al. (2012), doi:10.1007/s11207-011-9776-8; Scherrer et al. (2012), "
    "doi:10.1007/s11207-011-9834-2",
)
SDOML_TERMS = Terms("CC BY 4.0", "Galvez et al. (2019), doi:10.3847/1538-4365/ab1005")
HELIOVIEWER_TERMS = Terms(SDO_TERMS.licence, f"{SDO_TERMS.citation}; Helioviewer Project")
# A slot's image is observed before the slot, so that a forecast issued then may use it.
_MINUTES = (-2, -4, -6, -8)
_NRT_MINUTES = (-3, -6, -9, -12)
_HMI_STEP = 720
# SDOML: frames of AIA every 6 min, of HMI every 12.
_NEAR = 900
_POLLS, _POLL_WAIT = 60, 60.0
# JSOC clears a staged export after about a week; before that a request is not made again.
_STAGED_FOR = 5.0 * DAY


def synoptic_url(channel: str, time: int) -> str:
    """The address of AIA's 1024-pixel image of an even minute."""
    text = stamp(time)  # 20140101T060000Z
    date, hour, minute = text[:8], text[9:11], text[11:13]
    name = f"AIA{date}_{hour}{minute}_{int(channel.removeprefix('aia_')):04d}.fits"
    return f"{SYNOPTIC}/{date[:4]}/{date[4:6]}/{date[6:]}/H{hour}00/{name}"


def nrt_url(channel: str, time: int) -> str:
    """The address of AIA's near-real-time 1024-pixel image, of every third minute."""
    text = stamp(time)
    date, clock = text[:8], text[9:15]
    name = f"AIA{date}_{clock}_{int(channel.removeprefix('aia_')):04d}.fits"
    return f"{SYNOPTIC}/nrt/{date[:4]}/{date[4:6]}/{date[6:]}/H{clock[:2]}00/{name}"


def hmi_url(time: int, kind: str = "M_720s") -> str:
    """The address of HMI's newest 12-minute magnetogram at a time; its grid is of TAI.

    kind : `M_720s`, or `M_720s_nrt` where only the near-real-time one is there.
    """
    name = tai_text(int(tai_of_utc(time)) // _HMI_STEP * _HMI_STEP)
    return f"{HMI_FITS}/{name[:4]}/{name[4:6]}/{name[6:8]}/hmi.{kind}.{name}.fits"


def _synoptic(channel: str) -> Plan:
    def plan(wish: Wish) -> Iterator[list[Item]]:
        yield [
            Item(f"{channel}_synoptic",
                 tuple(synoptic_url(channel, t + 60 * m) for m in _MINUTES),
                 f"images/{channel}/{stamp(t)}.fits", MB, 12 * MB, require_fits)
            for t in wish.slots
        ]  # fmt: skip

    return plan


def _nrt(channel: str) -> Plan:
    def plan(wish: Wish) -> Iterator[list[Item]]:
        yield [
            Item(f"{channel}_nrt", tuple(nrt_url(channel, t + 60 * m) for m in _NRT_MINUTES),
                 f"images/{channel}/{stamp(t)}.fits", MB, 12 * MB, require_fits)
            for t in wish.slots
        ]  # fmt: skip

    return plan


def _hmi(wish: Wish) -> Iterator[list[Item]]:
    kinds = ("M_720s", "M_720s_nrt")
    yield [
        Item("hmi_quick_look", tuple(hmi_url(t - b, k) for b in (0, _HMI_STEP) for k in kinds),
             f"images/hmi_magnetogram/{stamp(t)}.fits", 15 * MB, 80 * MB, require_fits)
        for t in wish.slots
    ]  # fmt: skip


def require_fits(data: bytes) -> None:
    """Raise `DataError` unless the bytes are a FITS file of whole 2,880-byte blocks (FITS 4.0)."""
    if not data.startswith(b"SIMPLE  ="):
        raise DataError("a FITS file begins with SIMPLE", repr(data[:30]), "A page or a notice?")
    if len(data) % 2880:
        raise DataError(
            "a FITS file is whole blocks of 2880 bytes", f"{len(data)} bytes", "Fetch it again."
        )


def _jsoc(channel: str) -> Plan:
    """Requests of 30 days, each staged, asked after until ready, then fetched."""

    def plan(wish: Wish) -> Iterator[list[Item]]:
        for start in range(wish.start // DAY * DAY, min(wish.end, wish.now), 30 * DAY):
            days = -(-(min(wish.end, start + 30 * DAY) - start) // DAY)
            yield from _export(channel, wish, start, days)

    return plan


def _export(channel: str, wish: Wish, start: int, days: int) -> Iterator[list[Item]]:
    source, records = f"{channel}_jsoc", jsoc.record_set(channel, start, days, wish.hours)
    name = f"jsoc/{channel}/{stamp(start)[:8]}_{days}d_{wish.hours}h"
    asked, state = f"{name}.request.json", f"{name}.status.json"
    if _is_fetched(wish.root, channel, wish.root / state):
        return
    url = jsoc.request_url(records, wish.email)
    yield [Item(source, (url,), asked, 500, MB, jsoc.read_export, _STAGED_FOR)]
    if not (wish.root / asked).is_file():
        return
    url = jsoc.status_url(jsoc.read_export((wish.root / asked).read_bytes()).request)
    for attempt in range(_POLLS):
        sleep(_POLL_WAIT if attempt else 0.0)
        before = _written(wish.root / state)
        yield [Item(source, (url,), state, 5000, 4 * MB, jsoc.read_export, 0.0)]
        if _written(wish.root / state) == before:
            return  # the question failed, which is told; asking on would not mend it
        export = jsoc.read_export((wish.root / state).read_bytes())
        if export.ready:
            yield [_exported(source, channel, url) for url in export.urls]
            return


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0


def _exported(source: str, channel: str, url: str) -> Item:
    return Item(source, (url,), _path_of(channel, url), 15 * MB, 80 * MB, require_fits)


def _path_of(channel: str, url: str) -> str:
    return f"images/{channel}/{url.rsplit('/', 1)[1]}"


def _is_fetched(root: Path, channel: str, state: Path) -> bool:
    """True when an earlier run has every file of a finished export."""
    if not state.is_file():
        return False
    export = jsoc.read_export(state.read_bytes())
    return export.ready and all((root / _path_of(channel, u)).is_file() for u in export.urls)


def _sdoml(channel: str) -> Plan:
    """Attributes first, tens of MB a year; then the chunks that hold the wanted frames."""

    def plan(wish: Wish) -> Iterator[list[Item]]:
        for year in wish.years:
            yield _sdoml_heads(channel, year)
            folder = wish.root / "sdoml" / channel / str(year)
            if (folder / "zattrs.json").is_file() and (folder / "zarray.json").is_file():
                yield _sdoml_chunks(channel, year, wish, folder)

    return plan


def _sdoml_heads(channel: str, year: int) -> list[Item]:
    base, folder = sdoml.array_url(channel, year), f"sdoml/{channel}/{year}"
    source = f"{channel}_sdoml"
    return [
        Item(source, (f"{base}/.zarray",), f"{folder}/zarray.json", 500, MB, read_zarray),
        Item(source, (f"{base}/.zattrs",), f"{folder}/zattrs.json", 60 * MB, 600 * MB,
             lambda data: sdoml.read_index(data, channel)),
    ]  # fmt: skip


def _sdoml_chunks(channel: str, year: int, wish: Wish, folder: Path) -> list[Item]:
    array = read_zarray((folder / "zarray.json").read_bytes())
    index = sdoml.read_index((folder / "zattrs.json").read_bytes(), channel)
    rows = np.array(sorted(index.newest(wish.slots, _NEAR).values()), dtype=np.int64)
    base = sdoml.array_url(channel, year)
    return [
        Item(f"{channel}_sdoml", (f"{base}/{array.key(int(k), 0, 0)}",),
             f"sdoml/{channel}/{year}/chunk_{k}.zarr", array.chunk_bytes // 2,
             2 * array.chunk_bytes, lambda data: decode_chunk(array, data))
        for k in np.unique(rows // array.chunks[0]).tolist()
    ]  # fmt: skip


def _helioviewer(channel: str) -> Plan:
    def plan(wish: Wish) -> Iterator[list[Item]]:
        yield [
            Item(f"{channel}_helioviewer", (helioviewer.image_url(channel, t),),
                 f"display/{channel}/{stamp(t)}.jp2", MB, 20 * MB, helioviewer.require_jp2)
            for t in wish.slots
        ]  # fmt: skip

    return plan


def _slots(wish: Wish) -> int:
    return len(wish.slots)


def _sources(channel: str) -> list[Source]:
    hmi = channel.startswith("hmi")
    near = [
        Source("hmi_quick_look", "HMI 720 s magnetograms, 4096 px FITS", SDO_TERMS, "2 hours",
               "TAI in the name and the header; upside down", _hmi, counted(15 * MB, _slots),
               STANFORD)
    ] if hmi else [
        Source(f"{channel}_synoptic", f"{channel.upper()} level 1.5, 1024 px FITS, every 2 min",
               SDO_TERMS, "7 days", "divide by EXPTIME; not corrected for degradation",
               _synoptic(channel), counted(MB, _slots), STANFORD),
        Source(f"{channel}_nrt", f"{channel.upper()} in near real time, 1024 px FITS, every 3 min",
               SDO_TERMS, "20 min", "as the synoptic ones; gaps are never filled",
               _nrt(channel), counted(MB, _slots), STANFORD),
    ]  # fmt: skip
    return [
        *near,
        Source(f"{channel}_jsoc", f"{channel} from JSOC, 4096 px FITS, staged on request",
               SDO_TERMS, "days", "needs a registered e-mail (fetch.email); rows without image",
               _jsoc(channel), counted(15 * MB, _slots), STANFORD),
        Source(f"{channel}_sdoml", f"{channel} of SDOML v2, 512 px zarr", SDOML_TERMS,
               "2010 to 2020, no newer", "corrected already: never again; frames out of order; "
               "a frame costs a chunk of 15; HMI is Bz", _sdoml(channel),
               counted(8 * MB, lambda wish: _slots(wish) + 8 * len(wish.years))),
        Source(f"{channel}_helioviewer", f"{channel} of Helioviewer, JPEG 2000, to look at",
               HELIOVIEWER_TERMS, "minutes", "scaled for the eye, with changing calibrations: no "
               "table is made of it", _helioviewer(channel), counted(MB, _slots)),
    ]  # fmt: skip


IMAGE_SOURCES = tuple(source for channel in IMAGE_CHANNELS for source in _sources(channel))
