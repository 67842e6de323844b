import json
import os

import numpy as np
import pytest

from heliosight.core import files, records
from heliosight.core.errors import RecordError


def diagnosis(**changes):
    finding = records.Finding(
        "T3", "order?", "solar_wind", "fault", "effect", records.Interval(0.1, 0.0, 0.2), "r", "x"
    )
    made = records.provenance("cmd", 7, "key", {"train": "abc"}, True)
    return records.Diagnosis(provenance=made, subject="net", findings=(finding,), **changes)


def test_a_record_survives_the_round_trip(tmp_path):
    record = diagnosis(windows=5)
    records.save(tmp_path / "r", record, {"a": np.arange(3)}, {"note.txt": b"hi"})
    assert records.load(tmp_path / "r", records.Diagnosis) == record
    assert records.load_arrays(tmp_path / "r")["a"].tolist() == [0, 1, 2]
    assert records.load_arrays(tmp_path) == {}
    assert (tmp_path / "r" / "note.txt").read_bytes() == b"hi"


def test_saving_again_replaces_and_changes_the_hash(tmp_path):
    first = records.save(tmp_path / "r", diagnosis(windows=5))
    assert records.record_hash(tmp_path / "r") == first
    assert records.save(tmp_path / "r", diagnosis(windows=6)) != first
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_a_crash_leaves_the_old_record_and_no_litter(tmp_path):
    records.save(tmp_path / "r", diagnosis(windows=5))
    with pytest.raises(ZeroDivisionError), files.folder_in_making(tmp_path / "r") as making:
        (making / "half").write_text("half")
        raise ZeroDivisionError
    assert records.load(tmp_path / "r", records.Diagnosis).windows == 5
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_a_failed_write_leaves_no_litter(tmp_path, monkeypatch):
    def full(_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        files.write_text(tmp_path / "x", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_manifest_is_not_read(tmp_path):
    with pytest.raises(RecordError, match="a finished folder has a manifest"):
        records.load(tmp_path, records.Diagnosis)


def test_a_missing_or_short_file_is_noticed(tmp_path):
    records.save(tmp_path / "r", diagnosis(), {"a": np.zeros(2)})
    (tmp_path / "r" / "arrays.npz").unlink()
    with pytest.raises(RecordError, match="every listed file is present and whole"):
        records.load(tmp_path / "r", records.Diagnosis)


def test_an_altered_file_is_noticed(tmp_path):
    records.save(tmp_path / "r", diagnosis())
    path = tmp_path / "r" / "record.json"
    path.write_text(path.read_text().replace('"net"', '"nat"'))
    with pytest.raises(RecordError, match="has the hash its manifest gives"):
        records.load(tmp_path / "r", records.Diagnosis)


def test_another_schema_is_refused(tmp_path):
    records.save(tmp_path / "r", diagnosis())
    with pytest.raises(RecordError, match="this is a scorecard record of version 1"):
        records.load(tmp_path / "r", records.Scorecard)


def test_a_sealed_folder_without_a_record_is_refused(tmp_path):
    with files.folder_in_making(tmp_path / "r") as making:
        (making / "record.json").write_text(json.dumps([1]))
    with pytest.raises(RecordError, match="a record is readable JSON"):
        records.load(tmp_path / "r", records.Diagnosis)


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([{}], dtype=object))
    with pytest.raises(RecordError, match=r"whole, plain npz.*pickle"):
        files.read_npz(tmp_path / "x.npz")


def test_a_manifest_that_points_outside_is_refused(tmp_path):
    records.save(tmp_path / "r", diagnosis())
    (tmp_path / "secret").write_text("x")
    path = tmp_path / "r" / "manifest.json"
    listed = json.loads(path.read_text())
    listed["files"]["../secret"] = {"bytes": 1, "sha256": files.sha256(tmp_path / "secret")}
    path.write_text(json.dumps(listed))
    with pytest.raises(RecordError, match="a manifest names files of its own folder"):
        records.load(tmp_path / "r", records.Diagnosis)


def test_a_manifest_that_is_no_json_is_refused(tmp_path):
    records.save(tmp_path / "r", diagnosis())
    (tmp_path / "r" / "manifest.json").write_text("{")
    with pytest.raises(RecordError, match="a manifest is readable"):
        records.load(tmp_path / "r", records.Diagnosis)


def test_digest_ignores_key_order():
    assert files.digest({"a": 1, "b": 2}) == files.digest({"b": 2, "a": 1})
    assert files.digest({"a": 1}) != files.digest({"a": 2})


def test_arrays_of_objects_are_not_written(tmp_path):
    with pytest.raises(RecordError, match="arrays are stored without pickle"):
        files.write_npz(tmp_path / "x.npz", {"n": np.arange(3), "a": np.array([{}], dtype=object)})
    assert not list(tmp_path.iterdir())


def test_an_npz_holds_what_it_was_given_and_nothing_else(tmp_path):
    files.write_npz(tmp_path / "x.npz", {"n": np.arange(3)})
    assert set(np.load(tmp_path / "x.npz").files) == {"n"}
