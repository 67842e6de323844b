"""CF netCDF files from named arrays, whole in memory; written by SciPy, read by everybody.

The classic format with 64-bit offsets: no integer wider than 32 bits, no string type. So times are
doubles that count seconds, and texts are arrays of characters with a last axis of their own.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from scipy.io import netcdf_file

from heliosight.core.errors import DataError

CONVENTIONS = "CF-1.11"
SECONDS = "seconds since 1970-01-01 00:00:00"
_WIDEST = np.iinfo(np.int32)


@final
@dataclass(frozen=True)
class CfVariable:
    """One variable of a file.

    Attributes
    ----------
    dims : names of its axes, in order; one length per name in a file.
    values : numbers or texts of that shape; NaN is the fill value of floats.
    units : UDUNITS text; empty for texts and flags, which have none.
    attributes : further CF attributes (`standard_name`, `bounds`, `coordinates`, ...).
    """

    dims: tuple[str, ...]
    values: np.ndarray
    units: str = ""
    long_name: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)


def times(dims: tuple[str, ...], seconds: np.ndarray, long_name: str, **more: Any) -> CfVariable:
    """A time coordinate of UTC seconds since 1970."""
    values = np.asarray(seconds, np.float64)
    return CfVariable(dims, values, SECONDS, long_name, {"calendar": "standard", **more})


def netcdf_bytes(variables: Mapping[str, CfVariable], attributes: Mapping[str, Any]) -> bytes:
    """A file as bytes, for `write_bytes` or as an extra file of a record.

    Raises
    ------
    DataError : a variable does not fit its axes, an axis has two lengths, an integer is too wide.
    """
    buffer = io.BytesIO()
    with netcdf_file(buffer, "w", mmap=False, version=2) as file:
        lengths: dict[str, int] = {}
        for name, variable in variables.items():
            dims, values = _plain(name, variable)
            for dim, length in zip(dims, values.shape, strict=True):
                if lengths.setdefault(dim, length) != length:
                    raise DataError(
                        "an axis has one length", f"{length} and {lengths[dim]}", where=dim
                    )
                if dim not in file.dimensions:
                    file.createDimension(dim, length)
            made = file.createVariable(name, values.dtype, dims)
            made[...] = values
            for key, value in _described(variable, values).items():
                setattr(made, key, value)
        for key, value in {"Conventions": CONVENTIONS, **attributes}.items():
            setattr(file, key, value)
        file.flush()
        return buffer.getvalue()


def _plain(name: str, variable: CfVariable) -> tuple[tuple[str, ...], np.ndarray]:
    """Axes and values as the classic format can hold them."""
    values, dims = np.asarray(variable.values), tuple(variable.dims)
    if values.ndim != len(dims):
        raise DataError(
            "a variable has an axis for each dimension", f"{values.shape} for {dims}", where=name
        )
    if values.dtype.kind in "US":
        coded = np.char.encode(values, "utf-8") if values.dtype.kind == "U" else values
        width = max(coded.dtype.itemsize, 1)
        letters = np.ascontiguousarray(coded.astype(f"S{width}")).view("S1")
        return (*dims, f"{name}_length"), letters.reshape(*values.shape, width)
    if values.dtype == bool or (values.dtype.kind in "iu" and values.dtype.itemsize == 1):
        return dims, values.astype(np.int16)
    if values.dtype.kind in "iu":
        if values.size and not _WIDEST.min <= values.min() <= values.max() <= _WIDEST.max:
            raise DataError(
                "a classic netCDF integer has 32 bits", str(values.max()), "Give floats.", name
            )
        return dims, values.astype(np.int32)
    return dims, values.astype(np.float32 if values.dtype.itemsize <= 4 else np.float64)


def _described(variable: CfVariable, values: np.ndarray) -> dict[str, Any]:
    """Attributes in the order a reader expects; floats carry NaN as their fill value."""
    found: dict[str, Any] = {}
    if variable.long_name:
        found["long_name"] = variable.long_name
    if variable.units:
        found["units"] = variable.units
    coordinate = "calendar" in variable.attributes or "bounds" in variable.attributes
    if values.dtype.kind == "f" and not coordinate:
        found["_FillValue"] = values.dtype.type(np.nan)
    return found | dict(variable.attributes)
