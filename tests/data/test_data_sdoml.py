"""Frames of SDOML: zarr chunks decoded within bounds, and an index out of order."""

import zlib

import numpy as np
import pytest
from archive_documents import (
    PAGE,
    zarray,
    zattrs,
)

from heliosight.core.clock import to_seconds, to_text
from heliosight.core.errors import DataError
from heliosight.data.archives.sdoml import array_url, read_index
from heliosight.data.archives.zarr2 import decode_chunk, read_zarray


def chunk(values, codec="blosc"):
    raw = values.astype("<f4").tobytes()
    if codec == "blosc":
        blosc = pytest.importorskip("numcodecs.blosc")
        return blosc.compress(raw, b"zstd", 5, blosc.BITSHUFFLE)
    return zlib.compress(raw) if codec == "zlib" else raw


@pytest.mark.parametrize("codec", ["blosc", "zlib", ""])
def test_a_zarr_chunk_comes_back(codec):
    compressor = None if not codec else {"id": codec}
    array = read_zarray(zarray() if codec == "blosc" else zarray(compressor=compressor))
    values = np.random.default_rng(1).normal(0, 1, array.chunks)
    assert np.array_equal(decode_chunk(array, chunk(values, codec)), values.astype(np.float32))
    assert array.key(1, 0, 0) == "1.0.0" and array.chunk_bytes == 15 * 256 * 4
    with pytest.raises(DataError, match=r"decodes to its|sizes its header|whole zlib"):
        decode_chunk(array, chunk(values, codec)[:-9])


def test_a_chunk_never_decodes_to_more_than_it_should():
    array = read_zarray(zarray(compressor={"id": "zlib"}))
    with pytest.raises(DataError, match=f"decodes to its .*{array.chunk_bytes + 1} of"):
        decode_chunk(array, zlib.compress(bytes(10**8)))
    with pytest.raises(DataError, match="whole zlib data"):
        decode_chunk(array, b"nonsense")
    blosc = read_zarray(zarray())
    bomb = chunk(np.zeros((400, 16, 16)))
    with pytest.raises(DataError, match="sizes its header gives"):
        decode_chunk(blosc, bomb)
    with pytest.raises(DataError, match="has a header"):
        decode_chunk(blosc, b"abc")
    broken = bytearray(chunk(np.random.default_rng(1).normal(0, 1, blosc.chunks)))
    broken[20:200] = bytes(180)
    try:
        decode_chunk(blosc, bytes(broken))
    except DataError as error:
        assert "a Blosc chunk decodes" in str(error) or "chunk size" in str(error)


def test_without_numcodecs_blosc_says_what_to_install(monkeypatch):
    array, data = read_zarray(zarray()), chunk(np.zeros((15, 16, 16)))
    monkeypatch.setitem(__import__("sys").modules, "numcodecs.blosc", None)
    with pytest.raises(DataError, match=r"need numcodecs.*heliosight\[cloud\]"):
        decode_chunk(array, data)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (PAGE, "not a web page"),
        (zarray(zarr_format=3), "zarr version 2"),
        (zarray(order="F"), "C order without filters"),
        (zarray(dimension_separator="x"), "joined by . or /"),
        (zarray(dtype="|O"), "plain little-endian"),
        (zarray(compressor={"id": "pickle"}), "plain, blosc, zlib or gzip"),
        (zarray(shape=(-1, 2, 2)), "shape of a .zarray is a list of lengths"),
        (zarray(chunks=(10**6, 512, 512)), "at most 256 MiB"),
        (zarray(chunks=(1, 1)), "at most 256 MiB"),
    ],
)
def test_a_bad_zarray_is_named(data, match):
    with pytest.raises(DataError, match=match):
        read_zarray(data)


def test_sdoml_frames_out_of_order_and_bad_ones_are_found_by_time():
    texts = ["2016-01-01T12:00:05.84Z", "2016-01-01T00:00:05Z", "2016-01-01T05:54:05.84Z"]
    index = read_index(zattrs(texts, quality=[0, 0, 7]), "aia_193")
    slots = [to_seconds(f"2016-01-01T{h:02d}:00") for h in (0, 6, 12, 18)]
    assert index.newest([s + 10 for s in slots], 900) == {slots[0] + 10: 1, slots[2] + 10: 0}
    assert index.newest(slots, 900) == {}
    hmi = read_index(
        zattrs(["2010.05.01_00:12:04_TAI"], "Gauss", ["0x00000000"]), "hmi_magnetogram"
    )
    assert to_text(hmi.times[0]) == "2010-05-01T00:11:30Z"
    assert array_url("aia_211", 2014).endswith("/sdomlv2.zarr/2014/211A")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (PAGE, "not a web page"),
        (b"{}", "attributes list T_OBS"),
        (zattrs(["2016-01-01T00:00:05Z"], unit="DN"), "exposure and degradation divided out.*'DN'"),
        (zattrs(["2016-01-01T00:00:05Z"], QUALITY=[0, 0]), "a value a frame.*QUALITY 2"),
        (zattrs(["noon"]), "T_OBS is a time"),
        (zattrs(["2016-01-01T00:00:05Z"], QUALITY=["?"]), "QUALITY is a whole number"),
        (zattrs(["2016-01-01T00:00:05Z"], QUALITY=[2**70]), "QUALITY is a whole number"),
    ],
)
def test_a_bad_sdoml_index_is_named(data, match):
    with pytest.raises(DataError, match=match):
        read_index(data, "aia_193")
