"""Arrays are read as numpy reads them; what is torn, pickled or larger than it says is refused."""

import io
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from heliosight.core import arrays
from heliosight.core.errors import RecordError
from heliosight.core.files import read_json, read_npz

DTYPES = st.sampled_from([np.float32, np.float64, np.uint8, np.int64, np.bool_, "<U3"])


@given(arrays_of.arrays(DTYPES, arrays_of.array_shapes(min_dims=0, min_side=0)), st.booleans())
def test_equals_numpys_own_reader(array, fortran):
    stream = io.BytesIO()
    np.save(stream, np.array(array, order="F" if fortran else "C"))
    size = stream.tell()
    stream.seek(0)
    read = arrays.read_array(stream, size)
    assert read.dtype == array.dtype and read.shape == array.shape and read.flags.writeable
    np.testing.assert_array_equal(read, array)


def npy(shape, body=b"", descr="|u1"):
    stream = io.BytesIO()
    head = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, head)
    return stream.getvalue() + body


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (npy((1 << 40,), b"1234"), "more than the"),
        (npy((1 << 40, 1 << 40), b"1234"), "more than the"),
        (npy((2,), b"12", "|O"), "would need pickle"),
        (b"\x93NUMPY\x03\x00" + npy((2,), b"12")[8:], "npy version"),
        (b"<html>", "magic"),
    ],
)
def test_a_false_header_is_refused_before_anything_is_read(data, match):
    with pytest.raises(ValueError, match=match):
        arrays.read_array(io.BytesIO(data), len(data))


def test_a_bomb_is_refused_by_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "LARGEST", 1000)
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(10_000))
    with pytest.raises(RecordError, match="1000 are the most"):
        read_npz(tmp_path / "bomb.npz")


def test_names_that_climb_are_names_and_nothing_more(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("../../x.npy", npy((1,), b"1"))
    assert list(read_npz(tmp_path / "a.npz")) == ["../../x"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is no file"):
        arrays.require_file(tmp_path / "pipe")
    with pytest.raises(RecordError, match="is no file"):
        read_npz(tmp_path / "pipe")
    with pytest.raises(RecordError, match="is no file"):
        read_json(tmp_path / "pipe")


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "nan nan"])
def test_what_is_no_json_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(RecordError, match="readable JSON"):
        read_json(tmp_path / "a.json")
