"""The netCDF writer, read back by SciPy and by xarray."""

import io

import numpy as np
import pytest

from heliosight.core.errors import DataError
from heliosight.core.netcdf import CfVariable, netcdf_bytes, times

xarray = pytest.importorskip("xarray")


def _read(data: bytes):
    return xarray.open_dataset(io.BytesIO(data), engine="scipy")


def test_another_library_reads_what_was_written():
    ap = np.array([[1.0, np.nan, 400.0]], np.float32)
    data = netcdf_bytes(
        {
            "init_time": times(("init_time",), np.array([1_700_000_000]), "issue"),
            "reference": CfVariable(("reference",), np.array(["damped", "klimatología", "x"])),
            "ap": CfVariable(("init_time", "reference"), ap, "1", "ap", {"comment": "2 nT"}),
            "level": CfVariable(("reference",), np.array([1, 2, 3]), "1"),
            "flag": CfVariable(("reference",), np.array([True, False, True])),
        },
        {"title": "a test"},
    )
    with _read(data) as found:
        assert found.attrs["Conventions"].startswith("CF-1.")
        assert found.attrs["title"] == "a test"
        assert str(found.init_time.values[0])[:19] == "2023-11-14T22:13:20"
        assert [str(x.decode() if isinstance(x, bytes) else x) for x in found.reference.values] == [
            "damped",
            "klimatología",
            "x",
        ]
        np.testing.assert_array_equal(found.ap.values, ap)
        assert found.ap.attrs == {"long_name": "ap", "units": "1", "comment": "2 nT"}
        assert found.level.values.tolist() == [1, 2, 3]
        assert found.flag.values.astype(bool).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"a": CfVariable(("x",), np.zeros((2, 2)))}, "an axis for each dimension"),
        (
            {"a": CfVariable(("x",), np.zeros(2)), "b": CfVariable(("x",), np.zeros(3))},
            "an axis has one length",
        ),
        ({"a": CfVariable(("x",), np.array([2**40]))}, "integer has 32 bits"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(variables, told):
    with pytest.raises(DataError, match=told):
        netcdf_bytes(variables, {})
