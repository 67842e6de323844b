"""Images: corrected once, upright, of one disc radius; built by day, in shards, into one table."""

import json
from pathlib import Path

import numpy as np
import pytest
from archive_documents import zarray, zattrs
from PIL import Image as Picture

from heliosight.core.clock import DAY, to_seconds, to_text
from heliosight.core.errors import DataError
from heliosight.core.files import sha256
from heliosight.core.tables import BAD_FRAME, MISSING
from heliosight.data import fits_frames
from heliosight.data.degradation import read_curve, throughput_of
from heliosight.data.fits_frames import read_fits
from heliosight.data.frames import cut
from heliosight.data.imaging import images
from heliosight.data.imaging.images import build_days, join, part_of, plan
from heliosight.data.imaging.pieces import Piece, days_of
from heliosight.data.imaging.shard import Recipe, build_day, history_of, load_shard, read_piece
from heliosight.data.net.ledger import Entry, Ledger
from heliosight.data.prepare import (
    DEGRADATION,
    DISC,
    EXPOSURE,
    SCALINGS,
    Image,
    divided,
    is_bad,
    to_frame,
    undimmed,
)
from heliosight.data.tai import tai_of_utc

START = to_seconds("2014-01-01")
SIX = 6 * 3600


def sun(size, radius, centre, level=100.0, spot=None):
    """A flat disc, row 0 south; `spot` (north, west) in radii is a hole a tenth as bright."""
    y, x = np.mgrid[:size, :size] + 0.5
    away = np.hypot(y - centre[0], x - centre[1])
    values = np.where(away < radius, level, 0.0)
    if spot:
        hole = np.hypot(y - centre[0] - spot[0] * radius, x - centre[1] - spot[1] * radius)
        values[hole < 0.25 * radius] = level / 10
    return values.astype(np.float32)


def write_fits(path, values, centre=None, radius=None, **header):
    fits = pytest.importorskip("astropy.io.fits")
    size = len(values)
    row, column = (size / 2, size / 2) if centre is None else centre
    unit = fits.ImageHDU(values)
    unit.header.update({
        "INSTRUME": "AIA_2", "WAVELNTH": 193, "EXPTIME": 2.0, "T_OBS": "2014-01-01T00:00:00.84Z",
        "LVL_NUM": 1.5, "CROTA2": 0.0, "CRPIX1": column + 0.5, "CRPIX2": row + 0.5, "CDELT1": 2.4,
        "CRVAL1": 0.0, "CRVAL2": 0.0, "RSUN_OBS": 2.4 * (radius or 0.4 * size), "QUALITY": 0,
    } | header)  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(path, overwrite=True)
    return path


def measured_radius(frame):
    """Radius of the disc as a share of the width, from its area."""
    lit = frame.pixels > frame.pixels.max() / 4
    return np.sqrt(lit.sum() / np.pi) / len(frame.pixels)


@pytest.mark.accuracy
@pytest.mark.parametrize("radius", [95.0, 102.0, 110.0])
@pytest.mark.parametrize("turn", [0.0, 180.0])
def test_every_disc_has_one_radius_in_the_middle_with_north_up_and_west_right(
    tmp_path, radius, turn
):
    centre = (120.0, 135.0)
    values = sun(256, radius, centre, spot=(0.5, 0.3))  # a hole in the north-west
    if turn:
        values, centre = values[::-1, ::-1], (256 - centre[0], 256 - centre[1])
    path = write_fits(tmp_path / "a.fits", values * 20, centre, radius, CROTA2=turn)
    frame = read_fits(path, size=128)
    assert measured_radius(frame) == pytest.approx(DISC, abs=0.004)
    y, x = np.mgrid[:128, :128] + 0.5
    dark = (frame.pixels < 120) & (np.hypot(y - 64, x - 64) < 0.9 * 128 * DISC)
    assert y[dark].mean() == pytest.approx(64 - 0.5 * 128 * DISC, abs=1.0)
    assert x[dark].mean() == pytest.approx(64 + 0.3 * 128 * DISC, abs=1.0)
    assert "disc radius" in frame.history and "north up" in frame.history


def slow_cut(frame, top, left, width, size, fine=40):
    """Each output pixel averages a fine grid of points; beyond the frame there is 0."""
    out = np.zeros((size, size))
    step = width / size
    at = (np.arange(fine) + 0.5) / fine
    for i in range(size):
        for j in range(size):
            rows = np.floor(top + (i + at) * step).astype(int)
            columns = np.floor(left + (j + at) * step).astype(int)
            inside = ((rows >= 0) & (rows < len(frame)))[:, None] & (
                (columns >= 0) & (columns < len(frame))
            )
            picked = frame[rows.clip(0, len(frame) - 1)][:, columns.clip(0, len(frame) - 1)]
            out[i, j] = np.where(inside, picked, 0).mean()
    return out


@pytest.mark.accuracy
@pytest.mark.parametrize(
    "window", [(0.0, 0.0, 12.0), (1.25, 2.5, 8.0), (-3.0, -1.5, 18.0), (3.0, 3.0, 5.0)]
)
def test_a_cut_is_the_area_mean_also_beyond_the_frame(window):
    frame = np.random.default_rng(5).uniform(0, 200, (12, 12)).astype(np.float32)
    assert cut(frame, *window, 5) == pytest.approx(slow_cut(frame, *window, 5), abs=3.0)
    whole = cut(frame, 0.0, 0.0, 12.0, 4)
    assert whole == pytest.approx(frame.reshape(4, 3, 4, 3).mean((1, 3)), rel=1e-5)


def test_exposure_and_degradation_are_corrected_once_and_only_once(tmp_path):
    values = sun(64, 25, (32, 32), 800.0)
    dim = throughput_of(curves(tmp_path), ("aia_193",))
    level = lambda v: round(float(SCALINGS["aia_193"](np.array(v))))  # noqa: E731
    raw = read_fits(write_fits(tmp_path / "a.fits", values, radius=25), size=64)
    assert raw.pixels.max() == level(400.0) and raw.history[:2] == ("north up", "exposure")
    whole = read_fits(write_fits(tmp_path / "a.fits", values, radius=25), size=64, throughput=dim)
    assert whole.pixels.max() == level(800.0) and "degradation" in whole.history
    rate = write_fits(tmp_path / "b.fits", values, radius=25, PIXLUNIT="DN/s", DEG_COR=0.5)
    done = read_fits(rate, size=64, throughput=dim)
    assert done.pixels.max() == level(800.0)
    assert sorted(done.history) == ["degradation", "disc radius", "exposure", "north up"]
    image = Image("aia_193", 0, values, (EXPOSURE,))
    with pytest.raises(DataError, match="exposure of an image is corrected once"):
        divided(image, 2.0, EXPOSURE)
    with pytest.raises(DataError, match="degradation of an image is positive"):
        divided(image, 0.0, DEGRADATION)
    magnetogram = Image("hmi_magnetogram", 0, values)
    assert undimmed(magnetogram, dim) is magnetogram


def curves(tmp_path, throughput=0.5):
    folder = tmp_path / "degradation"
    folder.mkdir(exist_ok=True)
    lines = [f'"{to_text(START + d * DAY)[:19]}.000",{throughput}' for d in range(-5, 400)]
    (folder / "degrad_193.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.real
def test_real_curves_fall_and_end(real_data):
    at = throughput_of(real_data / "sdo" / "degradation", ("aia_193", "aia_211"))
    first, later = (
        at("aia_211", to_seconds("2010-05-01T12:00")),
        at("aia_211", to_seconds("2020-01-01")),
    )
    assert first == pytest.approx(0.99538) and 0.2 < later < 0.8
    with pytest.raises(DataError, match=r"curve covers the frames.*it ends 2024"):
        at("aia_193", to_seconds("2026-01-01"))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("2014-01-01,1.0\n2014-01-01,1.0\n", "times rise strictly"),
        ("2014-01-01\n", "a line is a time and a throughput"),
        ("noon,1\n", "a line is a time and a throughput"),
        ("2014-01-01,57\n", "share of that at launch"),
    ],
)
def test_a_bad_curve_is_named(tmp_path, text, match):
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(DataError, match=match):
        read_curve(tmp_path / "c.csv")


def test_a_calibration_table_without_aiapy_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "aiapy.calibrate", None)
    (tmp_path / "aia_V10_table.txt").write_text("x")
    with pytest.raises(DataError, match=r"needs aiapy.*heliosight\[solar\]"):
        throughput_of(tmp_path / "aia_V10_table.txt", ("aia_193",))


def test_level_1_is_registered_where_aiapy_is_and_read_plainly_where_not(tmp_path, monkeypatch):
    path = write_fits(tmp_path / "a.fits", sun(64, 25, (32, 32), 800.0), radius=25, LVL_NUM=1.0)
    monkeypatch.setattr(fits_frames, "has_aiapy", lambda: False)
    assert "north up" in read_fits(path, size=32).history
    monkeypatch.setattr(fits_frames, "has_aiapy", lambda: True)
    monkeypatch.setattr(fits_frames, "aiapy_version", lambda: "0.99")
    monkeypatch.setattr(fits_frames, "registered", lambda header, data: (header, data))
    assert "north up by aiapy 0.99" in read_fits(path, size=32).history


@pytest.mark.consistency
def test_plain_preparation_agrees_with_aiapy_where_it_is_installed(tmp_path, monkeypatch):
    pytest.importorskip("aiapy")
    values = sun(256, 95, (130, 126), 2000.0, spot=(0.4, -0.3))
    header = {"LVL_NUM": 1.0, "CDELT1": 976 / 95, "CDELT2": 976 / 95, "RSUN_OBS": 976.0,
              "CUNIT1": "arcsec", "CUNIT2": "arcsec", "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN",
              "TELESCOP": "SDO/AIA", "DATE-OBS": "2014-01-01T00:00:00.84", "WAVEUNIT": "angstrom",
              "DSUN_OBS": 1.47e11, "HGLN_OBS": 0, "HGLT_OBS": 0, "RSUN_REF": 6.96e8}  # fmt: skip
    path = write_fits(tmp_path / "a.fits", values, (130, 126), 95, **header)
    registered = read_fits(path, size=64)
    monkeypatch.setattr(fits_frames, "has_aiapy", lambda: False)
    plain = read_fits(path, size=64)
    assert any("by aiapy" in step for step in registered.history)
    away = np.abs(plain.pixels.astype(float) - registered.pixels)
    assert np.mean(away) < 4.0 and np.mean(away > 25) < 0.04


@pytest.mark.parametrize(
    ("header", "bad"),
    [
        ({"QUALITY": 0}, False),
        ({"QUALITY": 1 << 30}, False),
        ({"QUALITY": 1 << 12}, True),
        ({"QUALITY": (1 << 30) | 4}, True),
        ({"QUALITY": "0x00001000"}, True),
        ({"PERCENTD": 80.0}, True),
    ],
)
def test_frames_that_their_archive_calls_bad_are_flagged(tmp_path, header, bad):
    path = write_fits(tmp_path / "a.fits", sun(64, 25, (32, 32)), radius=25, **header)
    assert read_fits(path, size=16).broken is bad
    assert not is_bad(1 << 12, ignore=1 << 12)


def test_a_quality_that_is_no_word_is_refused(tmp_path):
    path = write_fits(tmp_path / "a.fits", sun(64, 25, (32, 32)), radius=25, QUALITY="good")
    with pytest.raises(DataError, match="QUALITY is a whole number"):
        read_fits(path, size=16)


def test_an_image_larger_than_sdo_s_is_not_unpacked(tmp_path, monkeypatch):
    path = write_fits(tmp_path / "a.fits", sun(64, 25, (32, 32)), radius=25)
    monkeypatch.setattr(fits_frames, "MOST_PIXELS", 1000)
    with pytest.raises(DataError, match=r"at most 4096 x 4096 pixels.*64 x 64"):
        read_fits(path)
    monkeypatch.setattr("heliosight.data.png_frames.MOST_PIXELS", 1000)
    Picture.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "20140101T000000Z.png")
    with pytest.raises(DataError, match=r"at most 4096 x 4096 pixels.*64 x 64"):
        read_piece(
            Piece("aia_193", START, str(tmp_path / "20140101T000000Z.png")), Recipe(("aia_193",))
        )


def test_hmi_beyond_its_field_is_sky_and_its_disc_is_scaled_too(tmp_path):
    values = sun(128, 60, (64, 64), 200.0)
    header = {"INSTRUME": "HMI_SIDE1", "T_OBS": "2014.01.01_00:00:35_TAI", "CROTA2": 180.0}
    frame = read_fits(write_fits(tmp_path / "h.fits", values, radius=60, **header), size=64)
    assert measured_radius_of_field(frame) == pytest.approx(DISC, abs=0.01)
    assert frame.pixels[0, 0] in (127, 128) and to_text(frame.time) == "2014-01-01T00:00:00Z"


def measured_radius_of_field(frame):
    lit = frame.pixels > 180
    return np.sqrt(lit.sum() / np.pi) / len(frame.pixels)


def make_folder(root, days=4, hours=6, channels=("aia_193", "hmi_magnetogram"), missing=()):
    rng = np.random.default_rng(1)
    for channel in channels:
        for k in range(days * 24 // hours):
            time = START + k * hours * 3600 - 60
            if (channel, k) in missing:
                continue
            header = {"T_OBS": f"{to_text(time)[:-1]}.50Z"}
            if channel == "hmi_magnetogram":
                face = str(np.datetime64(int(tai_of_utc(time)), "s"))
                text = face.replace("-", ".").replace("T", "_")
                header = {"INSTRUME": "HMI_SIDE1", "CROTA2": 180.0, "T_OBS": f"{text}_TAI"}
            values = sun(64, 25, (32, 32), 500.0) + rng.normal(0, 3, (64, 64)).astype(np.float32)
            name = to_text(START + k * hours * 3600).replace("-", "").replace(":", "")
            write_fits(root / "images" / channel / f"{name}.fits", values, radius=25, **header)
    return root


RECIPE = Recipe(("aia_193", "hmi_magnetogram"), 16, 6)


def build(root, shards, recipe=RECIPE, workers=1, **span):
    tasks = plan(root, recipe, shards, **span)
    built = build_days(tasks, workers)
    return join(tasks, shards / "joined.npy"), built


def test_days_are_built_once_and_joined_in_order(tmp_path):
    root = make_folder(
        tmp_path / "in", missing={("aia_193", 5), ("hmi_magnetogram", 5), ("aia_193", 2)}
    )
    made, built = build(root, tmp_path / "days")
    table = made.table
    assert built == 4 and len(table.times) == 15 and not made.problems
    assert table.frames.shape == (15, 2, 16, 16) and isinstance(table.frames, np.memmap)
    assert table.flags[2].tolist() == [MISSING, 0] and (table.flags[[0, 1, 3]] == 0).all()
    assert table.times[0] == START - 60 and (np.diff(table.times) > 0).all()
    assert "aia_193: exposure" in table.history and "hmi_magnetogram: north up" in table.history
    again, built = build(root, tmp_path / "days")
    assert built == 0 and np.array_equal(again.table.frames, table.frames)
    half, _ = build(root, tmp_path / "days", start=START + DAY, end=START + 2 * DAY)
    assert len(half.table.times) == 3


def test_as_of_a_moment_no_later_image_is_planned(tmp_path):
    root = make_folder(tmp_path / "in", days=2)
    at = START + DAY
    name = "images/aia_193/" + to_text(START).replace("-", "").replace(":", "") + ".fits"
    facts = (sha256(root / name), (root / name).stat().st_size, to_text(at + 60))
    Ledger(root).add(Entry(name, "aia_193_synoptic", "x", *facts, "", ""))
    pieces = [p for t in plan(root, RECIPE, tmp_path, at=at) for p in t.day.pieces]
    assert max(p.slot for p in pieces) == at
    assert str(root / name) not in {p.path for p in pieces} and len(pieces) == 9
    assert not plan(root, RECIPE, tmp_path, at=START - 1)
    assert len([p for t in plan(root, RECIPE, tmp_path) for p in t.day.pieces]) == 16


@pytest.mark.consistency
def test_shards_of_several_workers_make_the_same_table(tmp_path):
    root = make_folder(tmp_path / "in")
    whole, _ = build(root, tmp_path / "one")
    tasks = plan(root, RECIPE, tmp_path / "many")
    parts = [part_of(tasks, f"{i}/3") for i in range(3)]
    assert sorted(t.path for part in parts for t in part) == sorted(t.path for t in tasks)
    for part in parts[:2]:
        build_days(part, 1)
    with pytest.raises(DataError, match=r"every day is built before days are joined.*1 missing"):
        join(tasks, tmp_path / "joined.npy")
    build_days(parts[2], 1)
    joined = join(tasks, tmp_path / "joined.npy")
    assert np.array_equal(joined.table.frames, whole.table.frames)
    assert np.array_equal(joined.table.flags, whole.table.flags)
    for shard in ("3/3", "a/3", "1", "-1/3"):
        with pytest.raises(DataError, match="a shard is i/n"):
            part_of(tasks, shard)


@pytest.mark.slow
def test_processes_build_the_same_days(tmp_path):
    root = make_folder(tmp_path / "in", days=2)
    one, _ = build(root, tmp_path / "one")
    two, built = build(root, tmp_path / "two", workers=2)
    assert built == 2 and np.array_equal(one.table.frames, two.table.frames)


def test_a_file_that_cannot_be_read_is_a_missing_frame_with_its_reason(tmp_path):
    root = make_folder(tmp_path / "in", days=1)
    folder = root / "images" / "aia_193"
    (folder / "20140101T060000Z.fits").write_bytes(b"<html>")
    write_fits(folder / "20140101T120000Z.fits", sun(64, 25, (32, 32)), WAVELNTH=211)
    write_fits(
        folder / "20140101T180000Z.fits", sun(64, 25, (32, 32)), T_OBS="2014-01-01T01:00:00Z"
    )
    made, _ = build(root, tmp_path / "days")
    assert made.table.flags[:, 0].tolist() == [0, MISSING, MISSING, MISSING]
    told = " ".join(made.problems)
    assert len(made.problems) == 3 and "whole FITS file" in told
    assert "own channel's folder" in told and "near the slot that its name says" in told


def test_a_fetched_image_with_other_bytes_is_a_missing_frame_with_its_reason(tmp_path):
    root = make_folder(tmp_path / "in", days=1, channels=("aia_193",))
    path = root / "images" / "aia_193" / "20140101T060000Z.fits"
    when = "2014-01-01T06:20:00Z"
    name, size = path.relative_to(root).as_posix(), path.stat().st_size
    Ledger(root).add(Entry(name, "aia_193_nrt", "x", sha256(path), size, when, "", ""))
    good, _ = build(root, tmp_path / "good", Recipe(("aia_193",), 16, 6))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    made, _ = build(root, tmp_path / "days", Recipe(("aia_193",), 16, 6))
    assert not good.problems and made.table.flags[:, 0].tolist() == [0, MISSING, 0, 0]
    assert "as it was fetched. Found: other bytes" in made.problems[0]


def test_a_changed_file_or_recipe_makes_its_day_anew_and_no_other(tmp_path):
    root = make_folder(tmp_path / "in", days=2)
    build(root, tmp_path / "days")
    write_fits(root / "images" / "aia_193" / "20140101T060000Z.fits", sun(64, 25, (32, 32), 90.0),
               T_OBS="2014-01-01T05:59:00Z", radius=25)  # fmt: skip
    assert build(root, tmp_path / "days")[1] == 1
    assert build(root, tmp_path / "days", Recipe(RECIPE.channels, 32, 6))[1] == 2
    dimmed = Recipe(RECIPE.channels, 16, 6, str(curves(tmp_path)))
    made, built = build(root, tmp_path / "days", dimmed)
    assert built == 2 and "aia_193: degradation" in made.table.history


def test_a_killed_build_leaves_no_half_day(tmp_path, monkeypatch):
    root = make_folder(tmp_path / "in", days=2)
    tasks = plan(root, RECIPE, tmp_path / "days")

    def killed(path, arrays):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("heliosight.data.imaging.shard.write_npz", killed)
        with pytest.raises(KeyboardInterrupt):
            build_days(tasks, 1)
    assert not list((tmp_path / "days").iterdir())
    assert build_days(tasks, 1) == 2


def test_bad_exposures_are_flagged_by_the_frames_before_them(tmp_path):
    root = make_folder(tmp_path / "in", days=5, channels=("aia_193",))
    noisy = sun(64, 25, (32, 32), 40.0) + 40 * np.random.default_rng(2).random((64, 64), np.float32)
    write_fits(root / "images" / "aia_193" / "20140105T060000Z.fits", noisy, radius=25,
               T_OBS="2014-01-05T05:59:00Z")  # fmt: skip
    made, _ = build(root, tmp_path / "days", Recipe(("aia_193",), 32, 6))
    assert np.flatnonzero(made.table.flags[:, 0] & BAD_FRAME).tolist() == [17]


def test_pictures_and_sdoml_chunks_are_pieces_too(tmp_path):
    blosc = pytest.importorskip("numcodecs.blosc")
    folder = tmp_path / "sdoml" / "aia_193" / "2014"
    folder.mkdir(parents=True)
    texts = [f"2014-01-{1 + k // 4:02d}T{k % 4 * 6 + 5:02d}:54:05.84Z" for k in range(20)]
    (folder / "zarray.json").write_bytes(zarray(shape=(20, 16, 16)))
    (folder / "zattrs.json").write_bytes(zattrs(texts[::-1]))
    values = np.zeros((15, 16, 16), np.float32) + np.arange(15)[:, None, None] * 100 + 50
    values[:, 0] = 5000.0  # the southern edge
    values = values.astype(np.float32)
    (folder / "chunk_0.zarr").write_bytes(blosc.compress(values.tobytes(), b"zstd", 5, 2))
    made, _ = build(tmp_path, tmp_path / "days", Recipe(("aia_193",), 16, 6))
    table = made.table
    assert not made.problems and (np.diff(table.times) > 0).all()
    # the chunk holds the last fifteen frames, the newest of them first
    assert table.frames[:, 0, 5, 5].tolist() == sorted(table.frames[:, 0, 5, 5], reverse=True)
    assert (table.frames[:, 0, 15, 0] > table.frames[:, 0, 0, 0]).all()
    done = [step.removeprefix("aia_193: ") for step in table.history]
    assert done == ["exposure", "degradation", "north up", "disc radius"]
    (tmp_path / "images" / "aia_193").mkdir(parents=True)
    picture = tmp_path / "images" / "aia_193" / "20140107T000000Z.jpg"
    Picture.fromarray(np.full((32, 32), 77, np.uint8)).save(picture)
    alone, _ = build(
        tmp_path, tmp_path / "days", Recipe(("aia_193",), 16, 6), start=START + 6 * DAY
    )
    assert alone.table.frames[-1, 0, 0, 0] == 77 and alone.table.history == ("aia_193: as found",)
    with pytest.raises(DataError, match="all frames of a channel have had the same corrections"):
        build(tmp_path, tmp_path / "days", Recipe(("aia_193",), 16, 6))


def test_two_kinds_of_preparation_in_one_channel_are_refused():
    with pytest.raises(DataError, match="all frames of a channel have had the same corrections"):
        history_of([("aia_193: exposure",), ("aia_193: exposure", "aia_193: degradation")])
    assert history_of([("a: x",), (), ("a: x", "b: y")]) == ("a: x", "b: y")


@pytest.mark.parametrize(
    ("names", "channels", "match"),
    [
        ((), ("aia_193",), "a folder has images of the span"),
        (("latest.fits",), ("aia_193",), "name holds its time"),
        (("20141301T000000Z.fits",), ("aia_193",), "name holds its time"),
        (("20140101T000000Z.fits", "20140101T000100Z.png"), ("aia_193",), "one file of a channel"),
        ((), ("aia_94",), "image channel is known"),
    ],
)
def test_a_folder_that_cannot_be_read_as_slots_is_refused(tmp_path, names, channels, match):
    (tmp_path / "images" / "aia_193").mkdir(parents=True)
    for name in names:
        (tmp_path / "images" / "aia_193" / name).write_bytes(b"")
    with pytest.raises(DataError, match=match):
        days_of(tmp_path, channels, SIX, None, None)


def test_a_folder_without_one_readable_image_is_refused(tmp_path):
    (tmp_path / "images" / "aia_193").mkdir(parents=True)
    (tmp_path / "images" / "aia_193" / "20140101T000000Z.fits").write_bytes(b"no")
    with pytest.raises(DataError, match=r"at least one image can be read.*whole FITS"):
        build(tmp_path, tmp_path / "days", Recipe(("aia_193",), 16, 6))


def test_a_shard_says_what_was_done(tmp_path):
    root = make_folder(tmp_path / "in", days=1)
    (task,) = plan(root, RECIPE, tmp_path / "days")
    shard = load_shard(Path(build_day(task)))
    assert shard.slots.tolist() == [START + k * SIX for k in range(4)]
    assert shard.times[0].tolist() == [START - 60, START - 60] and not shard.problems
    assert json.loads(json.dumps(shard.history)) == list(shard.history)
    assert images.NAME == "images"
    assert to_frame(Image("aia_193", 0, np.ones((8, 8), np.float32)), 4).pixels.shape == (4, 4)
