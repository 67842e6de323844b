"""The store: whole or refused, equal to what was saved; its card counts what is wrong."""

import json
import shutil

import numpy as np
import pytest

from heliosight.core.errors import DataError, RecordError
from heliosight.core.files import MANIFEST, seal
from heliosight.core.records import DatasetCard, Provenance, load
from heliosight.core.tables import BAD_FRAME, MISSING, OUT_OF_RANGE, ImageTable
from heliosight.data import store as store_module
from heliosight.data.assemble import series
from heliosight.data.card import dataset_card
from heliosight.data.store import load_store, save_store


def tables():
    times = np.arange(6) * 10800
    speed = np.array([400.0, np.nan, 5000.0, 410.0, 420.0, 430.0])
    wind = series("solar_wind", times[[0, 1, 2, 4, 5]], 10800, {
        "speed": speed[[0, 1, 2, 4, 5]], "dst": np.full(5, np.nan)})  # fmt: skip
    frames = np.arange(4 * 2 * 4 * 4, dtype=np.uint8).reshape(4, 2, 4, 4)
    flags = np.zeros((4, 2), np.uint8)
    flags[1, 0], flags[2, 1] = BAD_FRAME, MISSING
    images = ImageTable(
        "images", np.arange(4) * 21600, 21600, ("aia_193", "aia_211"), frames, flags, 60
    )
    return {"solar_wind": wind, "images": images}


def test_a_store_comes_back_equal_and_memory_mapped(tmp_path):
    saved = tables()
    card = save_store(tmp_path / "s", saved, "small", made=Provenance(simulated=True))
    for hashes in (True, False):
        store = load_store(tmp_path / "s", check_hashes=hashes)
        assert store.card == card and store.hash == card.store_hash and card.provenance.simulated
        assert load(tmp_path / "s", DatasetCard) == card
        assert isinstance(store.tables["images"].frames, np.memmap)
        for name, table in saved.items():
            other = store.tables[name]
            assert (other.cadence, other.latency) == (table.cadence, table.latency)
            assert other.variables == table.variables
            for key in ("times", "flags", "values" if name == "solar_wind" else "frames"):
                a, b = getattr(table, key), getattr(other, key)
                assert a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def test_the_hash_is_of_the_data_alone(tmp_path):
    first = save_store(tmp_path / "a", tables(), "a", made=Provenance(created="now"))
    second = save_store(tmp_path / "b", tables(), "b")
    changed = tables()
    changed["solar_wind"].values[0, 0] = 401.0
    assert first.store_hash == second.store_hash
    assert first.store_hash != save_store(tmp_path / "c", changed, "a").store_hash


def test_the_card_counts_by_hand():
    card = dataset_card(tables(), "small", {"w": "x"}, {"w": "open"}, ("mind the gap",))
    wind, images = card.tables
    speed, dst = wind.variables
    assert (wind.rows, wind.gaps, wind.cadence_hours, wind.kind) == (5, 1, 3.0, "series")
    assert (wind.start, wind.end) == ("1970-01-01T00:00:00Z", "1970-01-01T15:00:00Z")
    assert (speed.missing, speed.out_of_range, speed.total, speed.units) == (1, 1, 5, "km s-1")
    assert speed.mean == pytest.approx((400 + 420 + 430) / 3)
    assert (dst.missing, dst.mean, dst.std) == (5, None, None)
    assert images.variables[0].missing == images.variables[1].missing == 1
    good = tables()["images"].frames[[0, 2, 3], 0].astype(float)
    assert images.variables[0].mean == pytest.approx(good.mean())
    assert images.variables[0].std == pytest.approx(good.std())
    assert images.latency_hours == pytest.approx(1 / 60)
    assert card.caveats == (
        "mind the gap", "solar_wind: dst is never observed",
        "images: aia_193 has 1 bad exposures or frames, flagged",
    )  # fmt: skip
    assert tables()["solar_wind"].flags[2, 0] == OUT_OF_RANGE


def test_the_card_of_an_empty_table_and_of_frames_never_seen():
    table = tables()["images"]
    empty = ImageTable(
        "images", table.times[:0], 21600, table.variables, table.frames[:0], table.flags[:0]
    )
    assert dataset_card({"images": empty}, "x").tables[0].start == ""
    dark = ImageTable(
        "images", table.times, 21600, table.variables, table.frames, table.flags | BAD_FRAME
    )
    assert dataset_card({"images": dark}, "x").tables[0].variables[0].mean is None


def test_a_half_written_or_altered_store_is_refused(tmp_path):
    save_store(tmp_path / "s", tables(), "small")
    frames = tmp_path / "s" / "images" / "frames.npy"
    whole = frames.read_bytes()
    frames.write_bytes(whole[:-1])
    with pytest.raises(RecordError, match=r"present and whole.*images/frames.npy"):
        load_store(tmp_path / "s", check_hashes=False)
    frames.write_bytes(whole[:-1] + b"\xff")
    with pytest.raises(RecordError, match="has the hash its manifest gives"):
        load_store(tmp_path / "s")
    (tmp_path / "s" / MANIFEST).unlink()
    with pytest.raises(RecordError, match="finished folder has a manifest"):
        load_store(tmp_path / "s")
    with pytest.raises(RecordError, match="finished folder has a manifest"):
        load_store(tmp_path / "nothing")


def test_an_interrupted_write_leaves_nothing_and_keeps_the_old(tmp_path, monkeypatch):
    card = save_store(tmp_path / "s", tables(), "small")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(store_module, "_data_hash", stop)
    for place in (tmp_path / "s", tmp_path / "new"):
        with pytest.raises(KeyboardInterrupt):
            save_store(place, tables(), "other")
    assert [p.name for p in tmp_path.iterdir()] == ["s"]
    assert load_store(tmp_path / "s").card == card


def test_a_record_that_is_no_store_is_refused(tmp_path):
    save_store(tmp_path / "s", tables(), "small")
    (tmp_path / "s" / "tables.json").unlink()
    manifest = json.loads((tmp_path / "s" / MANIFEST).read_text())
    del manifest["files"]["tables.json"]
    (tmp_path / "s" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(RecordError, match=r"store has a tables.json"):
        load_store(tmp_path / "s")


def _without(name):
    return lambda layout: layout["images"].pop(name)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda x: x.update({"../images": x.pop("images")}), r"name is a plain word.*'../images'"),
        (lambda x: x.update({"": x.pop("images")}), "name is a plain word.*''"),
        (_without("kind"), "describes the tables beside it.*KeyError 'kind'"),
        (_without("cadence"), "describes the tables beside it.*KeyError 'cadence'"),
        (_without("latency"), "describes the tables beside it.*KeyError 'latency'"),
        (_without("variables"), "describes the tables beside it.*KeyError 'variables'"),
        (lambda x: x.update(images=3), "describes the tables beside it.*TypeError"),
        (lambda x: x["images"].update(kind="film"), r"describes.*values.npy is no file"),
        (lambda x: x["images"].update(variables=["aia_193"]), "describes.*DataError.*uint8"),
    ],
)
def test_what_tables_json_says_is_checked(tmp_path, change, match):
    save_store(tmp_path / "s", tables(), "small")
    path = tmp_path / "s" / "tables.json"
    layout = json.loads(path.read_text())
    change(layout)
    path.write_text(json.dumps(layout))
    (tmp_path / "s" / MANIFEST).unlink()
    seal(tmp_path / "s")
    with pytest.raises(RecordError, match=match):
        load_store(tmp_path / "s")


@pytest.mark.parametrize("content", ["[]", "no json"])
def test_a_tables_json_of_another_kind_is_refused(tmp_path, content):
    save_store(tmp_path / "s", tables(), "small")
    (tmp_path / "s" / "tables.json").write_text(content)
    (tmp_path / "s" / MANIFEST).unlink()
    seal(tmp_path / "s")
    with pytest.raises(RecordError, match="describes the tables beside it"):
        load_store(tmp_path / "s")


@pytest.mark.parametrize("key", ["wind", "../x"])
def test_a_table_is_stored_under_its_own_name(tmp_path, key):
    with pytest.raises(DataError, match="under its own name"):
        save_store(tmp_path / "s", {key: tables()["solar_wind"]}, "x")
    assert not (tmp_path / "s").exists()
    shutil.rmtree(tmp_path)
