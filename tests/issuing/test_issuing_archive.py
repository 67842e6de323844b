"""The archive and its ledger: added to, never overwritten, and every alteration seen."""

import io
import json
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
from issuing_worlds import ISSUE, REFERENCES, issued

from heliosight.core import records
from heliosight.core.errors import RecordError, SpecError
from heliosight.core.issued import ForecastVerification, IssuedArrays
from heliosight.core.records import Provenance
from heliosight.issuing.archive import Archive
from heliosight.issuing.cf import forecast_netcdf
from heliosight.issuing.ledger import Ledger
from heliosight.issuing.plain import forecast_json
from heliosight.issuing.routes import routes


def test_a_reissue_is_an_entry_of_its_own(tmp_path):
    archive = Archive(tmp_path)
    first, second = (archive.add(*issued(), {"note.txt": b"x"}) for _ in range(2))
    assert first.name != second.name
    assert [e.name for e in archive.listed()] == [first.name, second.name]
    record, arrays = archive.read(first)
    np.testing.assert_array_equal(arrays.quantiles, issued()[1].quantiles)
    assert record.issue_times == ("2015-03-17T00:00:00Z",)


def test_an_altered_entry_is_refused_even_when_it_is_sealed_again(tmp_path):
    archive = Archive(tmp_path)
    entry = archive.add(*issued(), {})
    folder = archive.entry(entry.name)
    path = folder / "record.json"
    path.write_text(path.read_text().replace('"full"', '"fool"'))
    with pytest.raises(RecordError, match="has the hash its manifest gives"):
        archive.read(entry)
    record, arrays = issued()
    records.save(folder, record, {**arrays.arrays(), "mean": arrays.mean + 1})
    with pytest.raises(RecordError, match="as it was issued"):
        archive.read(entry)


def test_an_entry_of_that_name_is_never_overwritten(tmp_path, monkeypatch):
    monkeypatch.setattr("heliosight.issuing.archive._now", lambda: "20260101T000000000000Z")
    archive = Archive(tmp_path)
    archive.add(*issued(key="a" * 64), {})
    with pytest.raises(RecordError, match="never overwritten"):
        archive.add(*issued(key="a" * 64), {})


@pytest.mark.parametrize("name", ["../../etc", "x", "20150317T000000Z_1_2", ""])
def test_only_an_entrys_own_name_leads_to_a_folder(tmp_path, name):
    with pytest.raises(RecordError, match="one of the archive's"):
        Archive(tmp_path).entry(name)


@pytest.mark.parametrize("linked", ["entry", "entries"])
def test_a_link_in_the_place_of_an_entry_is_refused_and_not_served(tmp_path, linked):
    archive = Archive(tmp_path / "archive")
    entry = archive.add(*issued(), {"page.en.html": b"x"})
    folder = archive.entry(entry.name) if linked == "entry" else archive.folder / "entries"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordError, match=r"folders of its own\. Found: a link"):
        archive.read(entry)
    assert set(routes(archive, lambda entries, _: str(len(entries)))) == {"/", "/ko"}


def verification(entry, number=1, preliminary=0, **changes):
    made = ForecastVerification(
        Provenance(key="k"), entry.name, entry.hash, entry.issue_times, ("full", *REFERENCES),
        preliminary=preliminary, number=number, **changes,
    )  # fmt: skip
    return made, {"crps": np.full((1, 3, 24), float(number))}


def test_a_verification_is_renewed_until_every_value_is_definitive_and_all_are_kept(tmp_path):
    archive = Archive(tmp_path)
    entry = archive.add(*issued(), {})
    assert archive.unsettled(ISSUE) == [(entry, None)] and archive.unsettled(ISSUE - 1) == []
    first, arrays = verification(entry, 1, preliminary=5)
    archive.add_verification(first, arrays)
    assert archive.unsettled(ISSUE) == [(entry, first)]
    before = {p: p.read_bytes() for p in archive.verification(entry.name).iterdir()}
    second, arrays = verification(entry, 2)
    archive.add_verification(second, arrays)
    assert archive.unsettled(ISSUE) == []
    ((_, latest, kept),) = archive.verified()
    assert latest == second and (kept["crps"] == 2).all()
    assert {p: p.read_bytes() for p in archive.verification(entry.name).iterdir()} == before
    path = archive.verification(entry.name, 2) / "record.json"
    path.write_text(path.read_text().replace('"full"', '"fool"'))
    assert archive.verified()[0][1] == first, "what is not as it was listed is passed over"


def test_a_verification_that_was_never_listed_is_none(tmp_path, monkeypatch):
    archive = Archive(tmp_path)
    entry = archive.add(*issued(), {})

    def killed(self, body):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Ledger, "append", killed)
        archive.add_verification(*verification(entry))
    assert archive.verified() == []
    archive.add_verification(*verification(entry))
    assert len(archive.verified()) == 1
    archive.scores.append({"entry": "../../etc", "number": 1, "hash": "x"})
    with pytest.raises(RecordError, match="names an entry, a number and a hash"):
        archive.verified()


def test_a_forecast_is_live_until_its_first_interval_is_over(tmp_path, monkeypatch):
    archive = Archive(tmp_path)
    for made, live in (("20150317T025959", True), ("20150317T030000", False)):
        monkeypatch.setattr("heliosight.issuing.archive._now", lambda made=made: f"{made}000000Z")
        assert archive.add(*issued(key=made[-1] * 64), {}).live is live


def test_a_ledger_grows_and_shows_every_alteration(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    assert ledger.entries() == []
    for k in range(3):
        ledger.append({"k": k})
    assert [e.body["k"] for e in ledger.entries()] == [0, 1, 2]
    whole = ledger.path.read_text().splitlines(keepends=True)
    changed = json.loads(whole[1])
    changed["body"]["k"] = 9
    for lines in (
        [whole[0], json.dumps(changed) + "\n", whole[2]],
        [whole[0], whole[2]],
        [whole[1], whole[0], whole[2]],
        [whole[0], "nonsense\n", whole[2]],
    ):
        ledger.path.write_text("".join(lines))
        with pytest.raises(RecordError, match="bound to the one before"):
            ledger.entries()


def test_a_ledger_of_something_else_lists_no_entry(tmp_path):
    archive = Archive(tmp_path)
    archive.ledger.append({"k": 1})
    with pytest.raises(RecordError, match="names an entry, its hash and its issue times"):
        archive.listed()


def test_arrays_that_do_not_belong_together_are_refused():
    _, arrays = issued()
    with pytest.raises(SpecError, match="share their axes"):
        replace(arrays, mean=arrays.mean[:, :5])
    with pytest.raises(SpecError, match="has all its arrays"):
        IssuedArrays.of({k: v for k, v in arrays.arrays().items() if k != "mean"})


def test_a_line_that_was_cut_off_is_dropped_and_written_anew(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append({"k": 0})
    with ledger.path.open("a") as file:
        file.write('{"half": ')
    assert len(ledger.entries()) == 1
    ledger.append({"k": 1})
    assert [e.body["k"] for e in ledger.entries()] == [0, 1]


def _append(path, k):
    for _ in range(10):
        Ledger(path).append({"k": k})


def test_two_writers_do_not_break_the_chain(tmp_path):
    path = tmp_path / "ledger.jsonl"
    workers = [get_context("fork").Process(target=_append, args=(path, k)) for k in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(Ledger(path).entries()) == 20


def test_the_file_holds_the_three_faces_of_time_and_no_withheld_number():
    xarray = pytest.importorskip("xarray")
    record, arrays = issued(n=2, withheld=True)
    with xarray.open_dataset(
        io.BytesIO(forecast_netcdf(record, arrays)), engine="scipy", decode_timedelta=True
    ) as found:
        assert found.sizes["init_time"] == 2
        valid = found.init_time.values[:, None] + found.lead_time.values[None]
        np.testing.assert_array_equal(found.valid_time.values, valid)
        assert np.isnan(found.ap_quantile.values[0]).all()
        np.testing.assert_allclose(found.ap_quantile.values[1], arrays.quantiles[1])
        assert found.status.attrs["flag_meanings"] == "issued widened withheld"
        assert found.reference.values.astype(str).tolist() == list(REFERENCES)
        assert "SIMULATED" in found.attrs["title"]


def test_json_has_no_nan_and_names_every_number():
    told = forecast_json(*issued(withheld=True))
    text = json.dumps(told, allow_nan=False)
    assert told["forecast"]["leads"][0]["ap_mean"] is None
    assert told["references"]["damped"]["leads"][23]["valid_to"] == "2015-03-20T00:00:00Z"
    assert set(told["references"]["damped"]["days"][2]["storm_probability"]) == {
        "G1", "G2", "G3", "G4", "G5",
    }  # fmt: skip
    assert "SIMULATED" not in text
    assert told["simulated"]
