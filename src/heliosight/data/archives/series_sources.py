"""Solar wind and indices: where each archive keeps them and under which terms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from heliosight.core.clock import HOUR, to_text
from heliosight.data.archives.gfz import read_gfz_daily, read_gfz_intervals, read_gfz_json
from heliosight.data.archives.hapi import (
    DATASET,
    PARAMETERS,
    hapi_query,
    read_hapi_csv,
    read_hapi_info,
    read_hapi_span,
)
from heliosight.data.archives.source import (
    Plan,
    Reader,
    Source,
    Wish,
    counted,
    known,
    stamp,
    year_span,
)
from heliosight.data.archives.swpc import read_rtsw_mag, read_rtsw_wind, read_swpc_kp
from heliosight.data.net.download import Item, Terms
from heliosight.data.omni2 import omni2_table
from heliosight.data.overlay import require_units

SPDF = "https://spdf.gsfc.nasa.gov/pub/data/omni/low_res_omni"
HAPI = "https://cdaweb.gsfc.nasa.gov/hapi"
GFZ = "https://kp.gfz.de"
SWPC = "https://services.swpc.noaa.gov"
MB = 1_000_000

OMNI_TERMS = Terms(
    "NASA open data; its Dst and AE (WDC Kyoto) and sunspot number (SILSO, CC BY-NC) are not for "
    "commercial use",
    "King and Papitashvili (2005), doi:10.1029/2004JA010649; NASA/GSFC SPDF OMNIWeb",
)
GFZ_TERMS = Terms(
    "CC BY 4.0", "Matzka et al. (2021), doi:10.1029/2020SW002641, data doi:10.5880/Kp.0001"
)
HPO_TERMS = Terms(
    "CC BY 4.0", "Yamazaki et al. (2022), doi:10.1029/2022GL098860, data doi:10.5880/Hpo.0003"
)
DAILY_TERMS = Terms(
    "CC BY 4.0; the sunspot number (SILSO, CC BY-NC 4.0) is not for commercial use",
    f"{GFZ_TERMS.citation}; SILSO, Royal Observatory of Belgium; F10.7 NRCan",
)
SWPC_TERMS = Terms("public domain (US government)", "NOAA Space Weather Prediction Center")


def _omni2(wish: Wish) -> Iterator[list[Item]]:
    yield [
        Item("omni2", (f"{SPDF}/omni2_{year}.dat",), f"omni2/omni2_{year}.dat", 29 * MB // 10,
             8 * MB, _check_omni2, wish.fresh(year))
        for year in wish.years
    ]  # fmt: skip


def _check_omni2(data: bytes) -> object:
    return require_units(omni2_table({Path("omni2.dat"): data}), "omni2.dat")


def _hapi(wish: Wish) -> Iterator[list[Item]]:
    info = "omni_hapi/info.json"
    url = f"{HAPI}/info?{urlencode({'id': DATASET})}"
    yield [Item("omni_hapi", (url,), info, 60_000, 2 * MB, _check_info, 24 * HOUR)]
    if not (wish.root / info).is_file():
        return
    document = (wish.root / info).read_bytes()
    parameters, (first, last) = read_hapi_info(document), read_hapi_span(document)
    items = []
    for year in wish.years:
        start, end = year_span(wish, year)
        start, end = max(start, first), min(end, last)
        if start >= end:
            continue
        url = f"{HAPI}/data?{hapi_query(parameters, start, end)}"
        size = 9000 * (26 + 8 * len(parameters))
        items.append(
            Item("omni_hapi", (url,), f"omni_hapi/{year}.csv", size, 8 * size,
                 lambda data: read_hapi_csv(data, parameters), wish.fresh(year))
        )  # fmt: skip
    yield items


def _check_info(data: bytes) -> object:
    return read_hapi_info(data), read_hapi_span(data)


def _gfz_url(index: str, start: int, end: int) -> str:
    """GFZ's `end` is inclusive."""
    asked = {"start": to_text(start), "end": to_text(end - 1), "index": index}
    return f"{GFZ}/app/json/?{urlencode(asked, safe=':')}"


def _gfz_years(source: str, indices: tuple[str, ...], size: int) -> Plan:
    def plan(wish: Wish) -> Iterator[list[Item]]:
        yield [
            Item(source, (_gfz_url(index, *year_span(wish, year)),), f"gfz/{index}_{year}.json",
                 size, 8 * size, read_gfz_json, wish.fresh(year))
            for index in indices for year in wish.years
        ]  # fmt: skip

    return plan


def _one_file(source: str, url: str, path: str, size: int, check: Reader) -> Plan:
    def plan(_: Wish) -> Iterator[list[Item]]:
        yield [Item(source, (url,), path, size, 4 * size, check, 6 * HOUR)]

    return plan


def _snapshot(source: str, folder: str, url: str, size: int, check: Reader) -> Plan:
    """A document of now; each is kept, because the archive shows only about a day."""

    def plan(wish: Wish) -> Iterator[list[Item]]:
        path = f"{folder}/{stamp(wish.now // 60 * 60)}.json"
        yield [Item(source, (url,), path, size, 10 * size, check, 60.0, live=True)]

    return plan


def _gfz_now(wish: Wish) -> Iterator[list[Item]]:
    """Kp and ap of the last 35 days, as they are known now."""
    end = wish.now // HOUR * HOUR + HOUR
    yield [
        Item("gfz_now", (_gfz_url(index, end - 35 * 24 * HOUR, end),),
             f"gfz_now/{index}_{stamp(wish.now // 60 * 60)}.json", 15_000, MB, read_gfz_json, 60.0,
             live=True)
        for index in ("Kp", "ap")
    ]  # fmt: skip


_RTSW_TRAPS = (
    "spacecraft are mixed, only `active` rows count; measured at L1, not shifted; about a day is "
    "shown, so snapshots are kept"
)
_WIND = _snapshot(
    "swpc_wind", "swpc_wind", f"{SWPC}/json/rtsw/rtsw_wind_1m.json", 26 * MB // 10, read_rtsw_wind
)
_MAG = _snapshot(
    "swpc_mag", "swpc_mag", f"{SWPC}/json/rtsw/rtsw_mag_1m.json", 15 * MB // 10, read_rtsw_mag
)
_KP = _snapshot(
    "swpc_kp", "swpc_kp", f"{SWPC}/products/noaa-planetary-k-index.json", 8000, read_swpc_kp
)
_TEXT = _one_file("gfz_text", f"{GFZ}/app/files/Kp_ap_since_1932.txt", "gfz/Kp_ap_since_1932.txt",
                  17 * MB, read_gfz_intervals)  # fmt: skip
_DAILY = _one_file("gfz_daily", f"{GFZ}/app/files/Kp_ap_Ap_SN_F107_since_1932.txt",
                   "gfz/Kp_ap_Ap_SN_F107_since_1932.txt", 6 * MB, read_gfz_daily)  # fmt: skip
_KP_YEARS = _gfz_years("gfz_kp", ("Kp", "ap"), 110_000)
_HPO_YEARS = _gfz_years("gfz_hpo", ("Hp30", "ap30"), 600_000)

SERIES_SOURCES = (
    Source("omni2", "OMNI2 hourly solar wind and indices, one file a year", OMNI_TERMS,
           "days to weeks", "shifted to the bow shock; Kp times ten; a fill for every word",
           _omni2, known(_omni2)),
    Source("omni_hapi", "the same by CDAWeb's HAPI server, CSV", OMNI_TERMS, "days to weeks",
           "stamps half hours; errors inside HTTP 200; parameters in the order of `info`", _hapi,
           counted(9000 * (26 + 8 * len(PARAMETERS)), lambda wish: len(wish.years) + 1)),
    Source("gfz_kp", "Kp and ap with def/pre status, JSON, one file a year", GFZ_TERMS,
           "minutes; definitive after weeks", "errors are HTTP 500 with a page", _KP_YEARS,
           known(_KP_YEARS), ("kp.gfz-potsdam.de", "kp.gfz.de")),
    Source("gfz_hpo", "Hp30 and ap30, JSON, one file a year", HPO_TERMS, "a minute",
           "open-ended above 9; no status", _HPO_YEARS, known(_HPO_YEARS),
           ("kp.gfz-potsdam.de", "kp.gfz.de")),
    Source("gfz_text", "Kp and ap since 1932, one text file", GFZ_TERMS, "a day",
           "lines have 59 characters though the document says 156", _TEXT, known(_TEXT)),
    Source("gfz_daily", "Kp, ap, Ap, sunspot number, F10.7 a day, one text file", DAILY_TERMS,
           "a day", "the sunspot number is not for commercial use", _DAILY, known(_DAILY)),
    Source("gfz_now", "Kp and ap of the last 35 days as known now", GFZ_TERMS, "minutes",
           "the running interval is served too, and revised", _gfz_now, known(_gfz_now),
           ("kp.gfz-potsdam.de", "kp.gfz.de")),
    Source("swpc_wind", "real-time plasma at L1, minutes", SWPC_TERMS, "minutes", _RTSW_TRAPS,
           _WIND, known(_WIND)),
    Source("swpc_mag", "real-time magnetic field at L1, minutes", SWPC_TERMS, "minutes",
           _RTSW_TRAPS, _MAG, known(_MAG)),
    Source("swpc_kp", "estimated Kp", SWPC_TERMS, "minutes",
           "an estimate, never revised: 0.24 to 0.29 from GFZ's Kp on average", _KP, known(_KP)),
)  # fmt: skip
