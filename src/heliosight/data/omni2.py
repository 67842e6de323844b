"""OMNI2 hourly fixed-width files (NASA/GSFC SPDF, `omni2_YYYY.dat`, 55 to 57 words a line).

Source: SPDF `omni2.text` (King and Papitashvili 2005, doi:10.1029/2004JA010649). Words stand in
fixed columns; every word has its own fill value. The stamp is the start of the averaging hour.
Words 50 to 54 have no fill in the document; its rule "nines fill the field" is applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from heliosight.core.clock import DAY, HOUR
from heliosight.core.errors import DataError
from heliosight.core.tables import SeriesTable
from heliosight.data.assemble import check_rising, require_file, series, text_of

NAME = "solar_wind_hourly"
WORDS_OF_WIDTH = {327: 55, 336: 56, 343: 57}


@dataclass(frozen=True)
class Word:
    """One field: its number in the document, last column (1-based), width, fills, scale."""

    number: int
    name: str
    width: int
    fills: tuple[float, ...] = ()
    scale: float = 1.0


# Words 1 to 3 are the time. A spacecraft code was filled with 0 until 2015 and with 99 since.
_WORDS = (
    Word(1, "year", 4), Word(2, "day", 4), Word(3, "hour", 3),
    Word(4, "bartels_rotation", 5, (9999.0,)),
    Word(5, "imf_spacecraft", 3, (99.0, 0.0)), Word(6, "plasma_spacecraft", 3, (99.0, 0.0)),
    Word(7, "imf_points", 4, (999.0,)), Word(8, "plasma_points", 4, (999.0,)),
    Word(9, "b_scalar", 6, (999.9,)), Word(10, "b_total", 6, (999.9,)),
    Word(11, "b_lat_gse", 6, (999.9,)), Word(12, "b_lon_gse", 6, (999.9,)),
    Word(13, "bx_gse", 6, (999.9,)), Word(14, "by_gse", 6, (999.9,)),
    Word(15, "bz_gse", 6, (999.9,)), Word(16, "by_gsm", 6, (999.9,)),
    Word(17, "bz_gsm", 6, (999.9,)), Word(18, "b_scalar_sd", 6, (999.9,)),
    Word(19, "b_vector_sd", 6, (999.9,)), Word(20, "bx_gse_sd", 6, (999.9,)),
    Word(21, "by_gse_sd", 6, (999.9,)), Word(22, "bz_gse_sd", 6, (999.9,)),
    Word(23, "temperature", 9, (9999999.0,)), Word(24, "density", 6, (999.9,)),
    Word(25, "speed", 6, (9999.0,)), Word(26, "flow_longitude", 6, (999.9,)),
    Word(27, "flow_latitude", 6, (999.9,)), Word(28, "alpha_ratio", 6, (9.999,)),
    Word(29, "pressure", 6, (99.99,)), Word(30, "temperature_sd", 9, (9999999.0,)),
    Word(31, "density_sd", 6, (999.9,)), Word(32, "speed_sd", 6, (9999.0,)),
    Word(33, "flow_longitude_sd", 6, (999.9,)), Word(34, "flow_latitude_sd", 6, (999.9,)),
    Word(35, "alpha_ratio_sd", 6, (9.999,)), Word(36, "electric_field", 7, (999.99,)),
    Word(37, "plasma_beta", 7, (999.99,)), Word(38, "alfven_mach", 6, (999.9,)),
    Word(39, "kp", 3, (99.0,)), Word(40, "sunspot_number", 4, (999.0,)),
    Word(41, "dst", 6, (99999.0,)), Word(42, "ae", 5, (9999.0,)),
    Word(43, "proton_flux_1", 10, (999999.99,)), Word(44, "proton_flux_2", 9, (99999.99,)),
    Word(45, "proton_flux_4", 9, (99999.99,)), Word(46, "proton_flux_10", 9, (99999.99,)),
    Word(47, "proton_flux_30", 9, (99999.99,)), Word(48, "proton_flux_60", 9, (99999.99,)),
    Word(49, "proton_flux_flag", 3), Word(50, "ap", 4, (999.0,)),
    Word(51, "f107", 6, (999.9,)), Word(52, "pc_n", 6, (999.9,)),
    Word(53, "al", 6, (99999.0,)), Word(54, "au", 6, (99999.0,)),
    Word(55, "magnetosonic_mach", 5, (99.9,)), Word(56, "lyman_alpha", 9, (0.999999,)),
    Word(57, "quasi_invariant", 7, (9.9999,)),
)  # fmt: skip
_ENDS = np.cumsum([word.width for word in _WORDS])
FILLS = {word.name: word.fills for word in _WORDS}


def kp_from_tenths(tenths: np.ndarray) -> np.ndarray:
    """Kp in decimal thirds of the printed ten-fold value: 33 is 3+ = 3.333, 37 is 4- = 3.667."""
    return np.rint(np.asarray(tenths, dtype=np.float64) * 0.3) / 3.0


def read_omni2(
    paths: Path | str | Iterable[Path | str], variables: Sequence[str] | None = None
) -> SeriesTable:
    """Hourly solar wind and indices of one or several files, in the order given.

    Parameters
    ----------
    paths : one file or several, rising in time.
    variables : vocabulary names to parse; all words of the narrowest file when None.

    Returns
    -------
    Table "solar_wind_hourly" `(N, V)`; fills are NaN, values out of range are flagged.

    Raises
    ------
    DataError : not a text file, a line of another length (truncated), an unreadable field, an
        unknown variable, duplicated or backward times.
    """
    files = [Path(paths)] if isinstance(paths, (str, Path)) else [Path(p) for p in paths]
    return omni2_table({path: require_file(path).read_bytes() for path in files}, variables)


def omni2_table(
    documents: Mapping[Path, bytes], variables: Sequence[str] | None = None
) -> SeriesTable:
    """As `read_omni2`, of documents that are in memory; the keys say where they came from."""
    files = list(documents)
    if not files:
        raise DataError("reading needs at least one OMNI2 file", "none", "Give omni2_YYYY.dat.")
    grids = [_characters(documents[path], path) for path in files]
    words = _chosen(min(WORDS_OF_WIDTH[g.shape[1]] for g in grids), variables, files[0])
    times = [_times(grid, path) for grid, path in zip(grids, files, strict=True)]
    joined = np.concatenate(times)
    starts = np.cumsum([0] + [len(t) for t in times])

    def place(i: int) -> str:
        k = int(np.searchsorted(starts, i, side="right")) - 1
        return f"{files[k].name} line {i - starts[k] + 1}"

    check_rising(joined, place, str(files[0].parent))
    columns = {
        word.name: np.concatenate(
            [_column(grid, word, path) for grid, path in zip(grids, files, strict=True)]
        )
        for word in words
    }
    return series(NAME, joined, HOUR, columns)


def _characters(data: bytes, path: Path) -> np.ndarray:
    """`(lines, width)` bytes of a file whose lines all have one of the known lengths."""
    lines = text_of(data, "an OMNI2 file", path).splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    width = len(lines[0])
    if width not in WORDS_OF_WIDTH:
        raise DataError(
            "an OMNI2 line has 327, 336 or 343 characters (55, 56 or 57 words)",
            f"{width} at line 1",
            "Give the unmodified omni2_YYYY.dat.",
            str(path),
        )
    for number, line in enumerate(lines, 1):
        if len(line) != width:
            raise DataError(
                "all lines of an OMNI2 file are equally long",
                f"{len(line)} instead of {width} characters at line {number}",
                "The file is truncated or edited: fetch it again.",
                str(path),
            )
    # a letter beyond ASCII can stand in no number; one byte for it keeps the columns in place
    plain = "".join(lines).encode("ascii", "replace")
    return np.frombuffer(plain, dtype=np.uint8).reshape(-1, width)


def _chosen(count: int, variables: Sequence[str] | None, path: Path) -> list[Word]:
    known = {word.name: word for word in _WORDS[3:count]}
    if variables is None:
        return list(known.values())
    for name in variables:
        if name not in known:
            raise DataError(
                "an OMNI2 file has the variable asked for",
                repr(name),
                f"It has: {', '.join(known)}.",
                str(path),
            )
    return [known[name] for name in variables]


def _numbers(grid: np.ndarray, word: Word, path: Path) -> np.ndarray:
    end = int(_ENDS[word.number - 1])
    field = np.ascontiguousarray(grid[:, end - word.width : end]).view(f"S{word.width}")[:, 0]
    try:
        return field.astype(np.float64)
    except ValueError as error:
        i = next(i for i, text in enumerate(field) if not _is_number(text))
        raise DataError(
            f"word {word.number} ({word.name}) is a number",
            f"{field[i]!r} at line {i + 1}, columns {end - word.width + 1}-{end}",
            "The line is damaged: fetch the file again.",
            str(path),
        ) from error


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _column(grid: np.ndarray, word: Word, path: Path) -> np.ndarray:
    values = _numbers(grid, word, path)
    values[np.isin(values, word.fills)] = np.nan
    return kp_from_tenths(values) if word.name == "kp" else values


def _times(grid: np.ndarray, path: Path) -> np.ndarray:
    year, day, hour = (_numbers(grid, word, path).astype(np.int64) for word in _WORDS[:3])
    start, end = _new_year(year), _new_year(year + 1)
    bad = (year < 1900) | (year > 2200) | (hour < 0) | (hour > 23)
    bad |= (day < 1) | (day > (end - start) // DAY)
    if bad.any():
        i = int(np.argmax(bad))
        raise DataError(
            "a line begins with year, day of year and hour that exist",
            f"{year[i]} {day[i]} {hour[i]} at line {i + 1}",
            "Give the unmodified omni2_YYYY.dat.",
            str(path),
        )
    return start + (day - 1) * DAY + hour * HOUR


def _new_year(year: np.ndarray) -> np.ndarray:
    """Each year's first second, UTC seconds; the shape stays."""
    return (year - 1970).astype("datetime64[Y]").astype("datetime64[s]").astype(np.int64)
