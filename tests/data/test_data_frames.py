"""Frames: area averaging by a slow twin, bad frames, npz, PNG, FITS and what is wrong with them."""

import builtins
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from heliosight.core.clock import to_seconds
from heliosight.core.errors import DataError
from heliosight.core.seeding import numpy_stream
from heliosight.core.tables import BAD_FRAME, MISSING
from heliosight.data.fits_frames import read_fits, read_fits_image
from heliosight.data.frames import Frame, _shares, cut, image_table, resize
from heliosight.data.npz_frames import frame_count, read_npz
from heliosight.data.png_frames import read_png, read_pngs
from heliosight.data.prepare import SCALINGS, Scaling
from heliosight.data.quality import bad_frames, departure

SIX = 6 * 3600


def sun(count, channels=3, size=16, seed=1):
    """Smooth discs with a little noise: brightness and grain steady in time."""
    rng = numpy_stream(seed, "sun")
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    disc = 120 * (np.hypot(x, y) < size * 0.4)
    noise = rng.normal(0, 6, (count, channels, size, size))
    return np.clip(disc + 60 + noise, 0, 255).astype(np.uint8)


def slow_area_mean(frame, size):
    """Each output pixel averages the input area under it, sampled on a fine common grid."""
    h = frame.shape[0]
    fine = np.kron(frame.astype(float), np.ones((size, size)))
    return fine.reshape(size, h, size, h).mean((1, 3))


@pytest.mark.accuracy
@settings(max_examples=25, deadline=None)
@given(st.integers(3, 17), st.integers(1, 12))
def test_resize_is_the_area_mean(old, new):
    frame = numpy_stream(old * 100 + new, "frame").integers(0, 256, (old, old))
    got = resize(frame, new)
    assert got == pytest.approx(slow_area_mean(frame, new), abs=1e-3)
    assert got.mean() == pytest.approx(frame.mean(), abs=1e-3)


def test_black_constant_grainy_and_dim_frames_are_flagged():
    frames = sun(20)
    frames[5, 0] = 0
    frames[6, 1] = 77
    frames[12, 0] = frames[12, 0] // 2
    noisy = frames[15, 2] + numpy_stream(2, "grain").normal(0, 25, frames.shape[2:])
    frames[15, 2] = noisy.clip(0, 255)
    assert np.argwhere(bad_frames(frames)).tolist() == [[5, 0], [6, 1], [12, 0], [15, 2]]


def test_a_frame_is_judged_by_its_past_alone():
    frames = sun(20)
    frames[12, 0] = frames[12, 0] // 2
    for n in (5, 12, 13, 19):
        assert (bad_frames(frames[:n]) == bad_frames(frames)[:n]).all()
    assert bad_frames(frames[:0]).shape == (0, 3)


@pytest.mark.accuracy
def test_departure_is_the_log_ratio_to_the_median_of_the_values_before():
    values = numpy_stream(4, "levels").uniform(1, 9, 30)
    values[[3, 11]] = np.nan
    values[20] = 0.0
    for i, got in enumerate(departure(values, 5)):
        past = [v for v in values[max(0, i - 5) : i] if v > 0]
        judged = len(past) >= 3 and values[i] > 0
        assert got == pytest.approx(np.log(values[i] / np.median(past)) if judged else 0.0)


@pytest.mark.real
def test_the_bad_exposure_among_real_frames_is_found_and_nothing_else(real_data):
    table = read_npz(real_data / "sdo" / "sdo_30x6h_64px.npz", np.arange(30) * SIX)
    assert table.frames.shape == (30, 3, 64, 64)
    assert np.argwhere(table.flags & BAD_FRAME).tolist() == [[24, 0]]


def stack(path, frames, **changes):
    names = ("aia_193", "aia_211", "hmi_magnetogram")
    arrays = {name: frames[:, c] for c, name in enumerate(names)} | changes
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def test_npz_keeps_frames_and_shapes(tmp_path):
    frames = sun(6)
    with_axis = stack(tmp_path / "b.npz", frames, aia_193=frames[:, :1])
    for path in (stack(tmp_path / "a.npz", frames), with_axis):
        table = read_npz(path, np.arange(6) * SIX, size=16)
        assert (table.frames == frames).all() and not table.flags.any()
    assert read_npz(path, np.arange(6) * SIX, size=8).frames.shape == (6, 3, 8, 8)


def test_nan_and_black_frames_of_a_stack_are_flags(tmp_path):
    frames = sun(6).astype(np.float32)
    frames[2, 1, 3, 3] = np.nan
    frames[4, 0] = 0
    table = read_npz(stack(tmp_path / "a.npz", frames), np.arange(6) * SIX, size=16)
    assert np.argwhere(table.flags & BAD_FRAME).tolist() == [[2, 1], [4, 0]]
    assert not table.frames[2, 1].any()


@pytest.mark.parametrize(
    ("changes", "times", "match"),
    [
        ({"aia_211": None}, range(6), "every channel.*no 'aia_211'.*It has: aia_193"),
        ({"aia_193": np.zeros((6, 3, 16, 16))}, range(6), "aia_193.*frames, H, W.*(6, 3, 16, 16)"),
        ({}, range(5), "uint8 .6, 16, 16. for 5 times"),
        ({}, (0, 1, 1, 2, 3, 4), "duplicated time .* at frame 2"),
        ({}, (0, 2, 1, 3, 4, 5), "backward time"),
        ({"aia_193": np.full((6, 16, 16), 900.0)}, range(6), "grey levels lie in 0..255.*900"),
        ({"aia_193": np.full((6, 16, 16), "a")}, range(6), "frames, H, W. numbers"),
    ],
)
def test_bad_stacks_are_refused(tmp_path, changes, times, match):
    path = stack(tmp_path / "a.npz", sun(6), **changes)
    with pytest.raises(DataError, match=match):
        read_npz(path, np.array(times) * SIX, size=16)


def test_what_is_no_npz_or_cut_off_is_refused(tmp_path):
    path = stack(tmp_path / "a.npz", sun(6))
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"not an archive", b"", whole[:-30]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"whole npz.*make it again"):
            read_npz(path, np.arange(6) * SIX)
    np.savez(path, aia_193=np.array([{}], dtype=object))
    with pytest.raises(DataError, match="without pickled objects"):
        read_npz(path, np.arange(1), ["aia_193"])
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(DataError, match="whole npz"):
        read_npz(tmp_path / "one.npy", np.arange(6) * SIX)


@pytest.mark.parametrize("array", [np.uint8(3), np.zeros(4, np.uint8), np.zeros((4, 2, 8, 8))])
def test_frames_are_counted_in_stacks_alone(tmp_path, array):
    path = tmp_path / "a.npz"
    np.savez(path, aia_193=array, aia_211=np.zeros((5, 1, 8, 8)))
    assert frame_count(path, "aia_211") == 5
    for read in (lambda: frame_count(path, "aia_193"), lambda: read_npz(path, [0], ["aia_193"])):
        with pytest.raises(DataError, match=r"a.npz \[aia_193\]: a channel is \(frames, H, W\)"):
            read()


def test_a_member_in_a_folder_of_the_archive_is_no_channel(tmp_path):
    np.savez(tmp_path / "a.npz", **{"sub/aia_193": np.zeros((1, 8, 8))})
    with pytest.raises(DataError, match=r"no 'aia_193'.*It has: sub/aia_193"):
        read_npz(tmp_path / "a.npz", [0], ["aia_193"])
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("aia_193", b"no array")
    with pytest.raises(DataError, match="no 'aia_193'"):
        read_npz(tmp_path / "b.npz", [0], ["aia_193"])


@pytest.mark.parametrize(
    ("offset", "value", "match"),
    [(6, 1, "encrypted"), (8, 99, "compression method|compression type")],
)
def test_encrypted_and_oddly_compressed_stacks_are_refused(tmp_path, offset, value, match):
    path = tmp_path / "a.npz"
    np.savez(path, aia_193=np.zeros((1, 8, 8), np.uint8))
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[offset] = data[directory + offset + 2] = value
    path.write_bytes(data)
    with pytest.raises(DataError, match=f"whole npz.*({match})"):
        read_npz(path, [0], ["aia_193"])


def png(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


def test_png_time_channel_and_size(tmp_path):
    path = png(tmp_path / "sdo_aia193_2015_01_04T06_00_07.png", sun(1)[0, 0])
    frame = read_png(path, size=8)
    assert frame.time == to_seconds("2015-01-04T06:00:07Z") and frame.pixels.shape == (8, 8)
    assert read_png(path, time=7).time == 7
    colour = np.zeros((8, 8, 3), dtype=np.uint8)
    colour[..., 1] = 100
    grey = read_png(png(tmp_path / "2015_01_04T06_00_07.png", colour))
    assert grey.pixels[0, 0] == round(0.587 * 100)


@pytest.mark.parametrize(
    ("name", "match"),
    [("frame.png", "name holds its time"), ("2015_13_40T06_00_07.png", "date that exists")],
)
def test_png_without_a_time_is_refused(tmp_path, name, match):
    with pytest.raises(DataError, match=match):
        read_png(png(tmp_path / name, sun(1)[0, 0]))


def test_bad_pngs_are_refused(tmp_path):
    path = png(tmp_path / "2015_01_04T06_00_07.png", sun(1, size=64)[0, 0])
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"no image"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="whole image"):
            read_png(path)
    with pytest.raises(DataError, match=r"frame is square.*8 x 16"):
        read_png(png(path, np.zeros((8, 16), dtype=np.uint8)))
    with pytest.raises(DataError, match="holds PNG files"):
        read_pngs(tmp_path / "nothing")


@pytest.mark.real
def test_real_pngs_in_order_of_time(real_data):
    frames = read_pngs(real_data / "sdo" / "aia193_1024")
    assert len(frames) == 15 and frames[0].pixels.shape == (64, 64)
    assert [f.time for f in frames] == sorted(f.time for f in frames)
    assert all(20 < f.pixels.mean() < 160 for f in frames)


def test_single_frames_become_one_table():
    pixels = sun(3, 1, size=32)[:, 0]
    frames = [
        Frame("aia_193", SIX, pixels[0]),
        Frame("aia_211", SIX + 300, pixels[1]),
        Frame("aia_193", 3 * SIX - 60, pixels[2], broken=True),
    ]
    table = image_table(frames, ("aia_193", "aia_211"), size=16)
    assert table.times.tolist() == [SIX + 300, 3 * SIX - 60]
    assert table.flags.tolist() == [[0, 0], [BAD_FRAME, MISSING]]
    assert table.frames.shape == (2, 2, 16, 16)


@pytest.mark.parametrize(
    ("frames", "match"),
    [
        ([], "has frames"),
        ([Frame("aia_94", 0, np.ones((8, 8)))], "channel is one of.*'aia_94'"),
        ([Frame("aia_193", 2 * 3600, np.ones((8, 8)))], "near a slot.*7200 s away, at most 5400"),
        ([Frame("aia_193", t, np.ones((8, 8))) for t in (0, 60)], "one frame of a channel"),
    ],
)
def test_frames_that_make_no_table_are_refused(frames, match):
    with pytest.raises(DataError, match=match):
        image_table(frames)


def fits_file(path, data, **header):
    fits = pytest.importorskip("astropy.io.fits")
    unit = fits.ImageHDU(data)
    unit.header.update({"INSTRUME": "AIA_2", "WAVELNTH": 193, "EXPTIME": 2.0,
                        "T_OBS": "2015-01-04T06:00:07.84Z", "CROTA2": 0.0} | header)  # fmt: skip
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(path, overwrite=True)
    return path


def test_fits_aia_is_divided_flipped_and_scaled(tmp_path):
    data = np.full((16, 16), 2 * 316.23, dtype=np.float32)
    data[:4] = 2 * 31.623
    frame = read_fits(fits_file(tmp_path / "a.fits", data), size=16)
    assert frame.channel == "aia_193" and frame.time == to_seconds("2015-01-04T06:00:08Z")
    assert frame.pixels[[0, -1], 0] == pytest.approx([255 * 1.5 / 3, 255 * 0.5 / 3], abs=1)
    assert not frame.broken


def test_fits_hmi_is_tai_and_turned(tmp_path):
    data = np.zeros((16, 16), dtype=np.float32)
    data[:, 0] = 250.0
    data[0, 8] = np.nan
    head = {"INSTRUME": "HMI_SIDE1", "T_OBS": "2017.01.01_00:00:37_TAI", "CROTA2": 179.93}
    frame = read_fits(fits_file(tmp_path / "h.fits", data, **head), size=16)
    assert frame.channel == "hmi_magnetogram"
    assert frame.time == to_seconds("2017-01-01T00:00:00Z")
    assert (frame.pixels[1:, -1] == 255).all() and not frame.broken
    data[8, 8] = np.nan
    assert read_fits(fits_file(tmp_path / "h.fits", data, **head), size=16).broken


def test_scaling_runs_from_low_to_high():
    assert Scaling(-1, 1)(np.array([-2, 0, 1, 5])).tolist() == [0, 127.5, 255, 255]
    assert Scaling(1, 100, log=True)(np.array([-5.0, 10, 100])).tolist() == [0, 127.5, 255]
    assert set(SCALINGS) == {"aia_193", "aia_211", "hmi_magnetogram"}


@pytest.mark.parametrize(
    ("header", "match"),
    [
        ({"INSTRUME": "EIT"}, "is AIA 193, AIA 211 or an HMI.*EIT"),
        ({"WAVELNTH": 1600}, "is AIA 193"),
        ({"EXPTIME": 0.0}, "exposure of an image is positive"),
        ({"CROTA2": 45.0}, "CROTA2 is 0 or 180.*45"),
        ({"T_OBS": "yesterday"}, "T_OBS or DATE-OBS holds the time"),
    ],
)
def test_bad_fits_headers_are_refused(tmp_path, header, match):
    with pytest.raises(DataError, match=match):
        read_fits(fits_file(tmp_path / "a.fits", np.ones((8, 8), np.float32), **header))


@pytest.mark.filterwarnings("ignore")
def test_bad_fits_files_are_refused(tmp_path):
    path = fits_file(tmp_path / "a.fits", np.ones((64, 64), np.float32))
    whole = path.read_bytes()
    for content in (b"no fits", whole[: len(whole) - 12000]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="whole FITS file"):
            read_fits(path)
    with pytest.raises(DataError, match="holds a 2-D image"):
        read_fits(fits_file(path, np.ones((2, 8, 8), np.float32)))
    with pytest.raises(DataError, match="frame is square"):
        read_fits(fits_file(path, np.ones((8, 16), np.float32)))


def test_fits_without_astropy_says_what_to_install(tmp_path, monkeypatch):
    path = fits_file(tmp_path / "a.fits", np.ones((8, 8), np.float32))
    plain_import = builtins.__import__

    def no_astropy(name, *rest, **more):
        if name.startswith("astropy"):
            raise ImportError(name)
        return plain_import(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", no_astropy)
    with pytest.raises(DataError, match=r"need astropy.*heliosight\[solar\]"):
        read_fits(path)


@pytest.mark.accuracy
@pytest.mark.parametrize("compressed", [False, True])
def test_scaled_whole_numbers_with_blanks_are_read_as_astropy_reads_them(tmp_path, compressed):
    fits = pytest.importorskip("astropy.io.fits")
    stored = np.arange(-7000, 7400, 1, dtype=np.int32).reshape(120, 120)
    stored[:, :9] = stored[70, 70] = -2147483648
    path = tmp_path / "hmi.fits"
    unit = fits.CompImageHDU(stored) if compressed else fits.ImageHDU(stored)
    unit.header.update({"INSTRUME": "HMI", "T_OBS": "2014.01.01_00:00:04_TAI", "CROTA2": 180.0})
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(path)
    raw = {"do_not_scale_image_data": True, "disable_image_compression": True}
    with fits.open(path, mode="update", **raw) as units:
        units[1].header.update({"BSCALE": 0.1, "BZERO": 2.5, "BLANK": -2147483648})
    with fits.open(path) as units:
        known = np.asarray(units[1].data, dtype=np.float32)
    image, header = read_fits_image(path.read_bytes(), path)
    np.testing.assert_allclose(image.values, known[:, ::-1], rtol=1e-6, atol=1e-4)
    assert np.isnan(image.values).sum() == 120 * 9 + 1 and "BSCALE" not in header


@pytest.mark.accuracy
def test_strips_of_rows_give_the_mean_of_the_whole_frame():
    frame = np.random.default_rng(3).normal(0, 200, (300, 300)).astype(np.float32)
    place = 10.3, -4.7, 281.9, 16
    strips = cut(frame, *place, np.abs)
    whole = cut(np.abs(frame), *place)
    rows = _shares(300, 16, 10.3, 10.3 + 281.9).astype(np.float64)
    columns = _shares(300, 16, -4.7, -4.7 + 281.9).astype(np.float64)
    np.testing.assert_allclose(strips, rows @ np.abs(frame) @ columns.T, rtol=1e-5)
    np.testing.assert_array_equal(strips, whole)
