"""The whole way on a tiny simulated Sun, once for all tests of this file."""

import json
import shutil
from pathlib import Path

import pytest

from heliosight.cli import main
from heliosight.core import records

CONFIGS = Path(__file__).parent / "configs"


def words(stage, folder, *more):
    return [
        stage,
        *more,
        "--config-dir",
        str(CONFIGS),
        "--config-name",
        "tiny",
        f"run_dir={folder}",
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(words("demo", folder)) in (0, 1)
    return folder


def test_every_stage_leaves_its_record(made):
    assert records.load(made / "data", records.DatasetCard).provenance.simulated
    for system in ("full", "wind"):
        trained = records.load(made / "train" / system / "test_2012-06-01", records.TrainedRun)
        assert trained.epochs == 1
    card = records.load(made / "evaluate", records.Scorecard)
    systems = {row.system for row in card.rows}
    assert {"full", "wind", "damped", "ridge_omni_ch", "recurrence_27d"} <= systems
    assert any(row.system == "full - wind" for row in card.differences)
    assert records.load(made / "diagnose", records.Diagnosis).findings
    assert (made / "report.html").stat().st_size > 100_000
    page = (made / "report.html").read_text()
    assert "simulated" in page.lower()


def test_a_second_run_uses_everything_again(made, capsys):
    before = {p: p.stat().st_mtime_ns for p in made.rglob("record.json")}
    page = (made / "report.html").read_bytes()
    main(words("demo", made))
    assert {p: p.stat().st_mtime_ns for p in made.rglob("record.json")} == before
    assert (made / "report.html").read_bytes() == page
    out = capsys.readouterr().out
    assert str(made / "report.html") in out
    assert "skill: full against damped" in out


def test_a_stage_prints_its_record_as_json(made, capsys):
    assert main(words("evaluate", made, "--json")) == 0
    assert json.loads(capsys.readouterr().out)["reference"] == "damped"
    main(words("diagnose", made, "--json"))
    assert json.loads(capsys.readouterr().out)["findings"]


def test_part_of_a_diagnosis_shows_its_checks(made, capsys):
    main(words("diagnose", made, "convlstm", "--json"))
    shown = {f["check"] for f in json.loads(capsys.readouterr().out)["findings"]}
    assert "T4" in shown
    assert shown <= {"T4", "T5", "T12", "T13"}


def test_a_store_can_be_inspected(made, capsys):
    assert main(words("data", made, "inspect")) == 0
    out = capsys.readouterr().out
    assert "SIMULATED" in out
    assert "aia_193" in out


def test_the_report_speaks_korean(made):
    assert main([*words("report", made), "report.language=ko"]) == 0
    assert 'lang="ko"' in (made / "report.ko.html").read_text()


def test_changed_training_makes_a_stage_refuse_the_old_model(made, capsys):
    assert main([*words("diagnose", made), "training.batch_size=8"]) == 2
    assert "Run heliosight train" in capsys.readouterr().err


def test_an_altered_record_is_not_used_again(made, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    path = copy / "evaluate" / "record.json"
    path.write_text(path.read_text().replace('"damped"', '"dumped"', 1))
    assert main(words("evaluate", copy)) == 0
    assert records.load(copy / "evaluate", records.Scorecard).reference == "damped"
