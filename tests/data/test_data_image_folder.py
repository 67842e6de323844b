"""A folder of real frames: one sub-folder a channel becomes one table."""

import numpy as np
import pytest
from PIL import Image

from heliosight.core.clock import to_seconds
from heliosight.core.errors import DataError
from heliosight.core.seeding import numpy_stream
from heliosight.core.tables import BAD_FRAME, MISSING
from heliosight.data.image_folder import read_image_folder

TWO = ("aia_193", "aia_211")
START = to_seconds("2015-01-04T00:00:00Z")
SIX = 6 * 3600


def disc(name, size=16):
    rng = numpy_stream(7, name)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    base = 60 + 120 * (np.hypot(x, y) < size * 0.4)
    return (base + rng.normal(0, 6, (size, size))).clip(0, 255).astype(np.uint8)


def png(folder, channel, name, pixels=None, suffix="png"):
    (folder / channel).mkdir(exist_ok=True, parents=True)
    pixels = disc(channel + name) if pixels is None else pixels
    Image.fromarray(pixels).save(folder / channel / f"{name}.{suffix}", format="png")
    return pixels


def fits(folder, channel, name, time, **header):
    io = pytest.importorskip("astropy.io.fits")
    (folder / channel).mkdir(exist_ok=True, parents=True)
    unit = io.ImageHDU(np.full((16, 16), 316.23, dtype=np.float32))
    unit.header.update({"INSTRUME": "AIA_2", "WAVELNTH": int(channel[4:]), "T_OBS": time} | header)
    path = folder / channel / f"{name}.fits"
    io.HDUList([io.PrimaryHDU(), unit]).writeto(path)


def test_sub_folders_become_channels_in_order_of_time(tmp_path):
    late = png(tmp_path, "aia_193", "a_2015_01_04T06_00_07")
    early = png(tmp_path, "aia_193", "b_2015_01_04T00_00_05", suffix="PNG")
    other = png(tmp_path, "aia_211", "c_2015_01_04T06_00_20")
    png(tmp_path, "aia_94", "2015_01_04T06_00_07")
    (tmp_path / "aia_193" / "notes.txt").write_text("left aside")
    table = read_image_folder(tmp_path, TWO, size=16)
    assert (table.name, table.cadence, table.variables) == ("images", SIX, TWO)
    assert table.times.tolist() == [START + 5, START + SIX + 20]
    assert table.flags.tolist() == [[0, MISSING], [0, 0]]
    assert (table.frames[:, 0] == np.stack([early, late])).all()
    assert (table.frames[1, 1] == other).all() and not table.frames[0, 1].any()


def test_size_and_cadence_are_the_caller_s(tmp_path):
    for hour in (0, 1):
        png(tmp_path, "aia_193", f"2015_01_04T0{hour}_00_00", np.full((16, 16), 9, np.uint8))
    table = read_image_folder(tmp_path, ("aia_193",), size=8, cadence=3600)
    assert table.frames.shape == (2, 1, 8, 8) and table.cadence == 3600
    assert (table.flags & BAD_FRAME > 0).all()


def test_fits_and_png_stand_side_by_side(tmp_path):
    png(tmp_path, "aia_211", "2015_01_04T00_00_05")
    fits(tmp_path, "aia_193", "x", "2015-01-04T06:00:07Z")
    table = read_image_folder(tmp_path, TWO, size=16)
    assert table.times.tolist() == [START + 5, START + SIX + 7]
    assert table.frames[1, 0, 0, 0] == pytest.approx(255 / 2, abs=1)
    assert table.history == ("aia_193: north up", "aia_193: exposure", "aia_211: as found")


def test_a_channel_of_both_kinds_has_had_two_preparations_and_is_refused(tmp_path):
    png(tmp_path, "aia_193", "2015_01_04T00_00_05")
    fits(tmp_path, "aia_193", "x", "2015-01-04T06:00:07Z")
    with pytest.raises(DataError, match="all frames of a channel have had the same corrections"):
        read_image_folder(tmp_path, ("aia_193",), size=16)


def test_a_fits_file_in_the_wrong_sub_folder_is_refused(tmp_path):
    fits(tmp_path, "aia_211", "x", "2015-01-04T06:00:07Z", WAVELNTH=193)
    match = r"aia_211.x.fits: a FITS frame lies in its own.*aia_193 in aia_211.*Move it to aia_193"
    with pytest.raises(DataError, match=match):
        read_image_folder(tmp_path, ("aia_211",))


def test_what_is_no_folder_of_frames_is_refused(tmp_path):
    with pytest.raises(DataError, match="lie in an existing folder"):
        read_image_folder(tmp_path / "absent")
    with pytest.raises(DataError, match="no aia_193; sub-folders: none"):
        read_image_folder(tmp_path)
    (tmp_path / "AIA").mkdir()
    with pytest.raises(DataError, match=r"sub-folder of its name.*no aia_193; sub-folders: AIA"):
        read_image_folder(tmp_path)
    (tmp_path / "aia_193").mkdir()
    with pytest.raises(DataError, match=r"aia_193: a channel's sub-folder holds PNG or FITS"):
        read_image_folder(tmp_path)
    with pytest.raises(DataError, match=r"image channel is known.*'../x'"):
        read_image_folder(tmp_path, ("../x",))


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["frame"], "name holds its time"),
        (["2015_01_04T02_30_00"], "near a slot of the cadence"),
        (["2015_01_04T00_00_05", "2015_01_04T00_10_05"], "one frame of a channel"),
    ],
)
def test_times_that_make_no_table_are_refused(tmp_path, names, match):
    for name in names:
        png(tmp_path, "aia_193", name)
    with pytest.raises(DataError, match=match):
        read_image_folder(tmp_path, ("aia_193",))


@pytest.mark.real
def test_real_pngs_of_one_channel(real_data, tmp_path):
    (tmp_path / "aia_193").symlink_to(real_data / "sdo" / "aia193_1024", target_is_directory=True)
    table = read_image_folder(tmp_path, ("aia_193",), cadence=1200)
    assert table.frames.shape == (15, 1, 64, 64) and not (table.flags & MISSING).any()
