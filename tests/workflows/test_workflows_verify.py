"""The seal: written down first, opened once, opened again only with a reason that stays."""

import shutil
from pathlib import Path

import pytest

from heliosight.cli import main
from heliosight.core import records
from heliosight.core.errors import ConfigError
from heliosight.core.sealed import SealedScore
from heliosight.issuing.ledger import Ledger
from heliosight.workflows import verify

CONFIGS = Path(__file__).parent / "configs"
BLOCK = ("verify.start=2012-10-10", "verify.end=2012-12-20")


def words(stage, folder, *more):
    return [
        stage, *more, "--config-dir", str(CONFIGS), "--config-name", "tiny", f"run_dir={folder}",
        "split.end=2012-09-01",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(words("train", folder)) == 0
    return folder


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """The user's own folder, for the witness of every opening."""
    monkeypatch.setenv("HELIOSIGHT_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def run(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def score_of(folder):
    found = sorted((folder / "verify").iterdir(), key=lambda p: p.stat().st_mtime)
    return records.load(found[-1], SealedScore)


def test_a_block_is_opened_once_and_everything_is_scored(run, state, capsys):
    assert main(words("verify", run, *BLOCK)) == 0
    assert "opening 1, the first" in capsys.readouterr().out
    score = score_of(run)
    systems = {row.system for row in score.card.rows}
    assert {"full", "climatology", "persistence", "recurrence_27d", "damped", "ridge_ap",
            "ridge_omni", "ridge_omni_ch"} <= systems  # fmt: skip
    assert {r.slice for r in score.phases} <= {
        f"phase {n}" for n in ("minimum", "rising", "maximum", "declining")
    }
    assert {c.system for c in score.calibration} >= {"full", "damped"}
    assert score.reliability[0].system == "full"
    assert score.storms.rotations >= 3
    assert "27-day block" in score.card.rows[0].metrics["rmse_ap_pooled"].how
    entry = Ledger(run.parent / "seals.jsonl").entries()[0]
    assert entry.body["weights"] == score.opening.weights
    assert entry.hash == score.opening.line
    page = (run / "verify.html").read_text()
    assert "opened for the first time" in page
    assert score.opening.weights in page
    assert main(words("verify", run, *BLOCK)) == 0, "the same opening is no second one"
    assert len(Ledger(run.parent / "seals.jsonl").entries()) == 1

    assert main([*words("verify", run, *BLOCK), "evaluate.scoring.seed=9"]) == 2
    err = capsys.readouterr().err
    assert "a sealed block is opened once" in err
    assert "another config" in err
    part = [*words("verify", run, "verify.start=2012-11-15", "verify.end=2012-12-20")]
    assert main(part) == 2, "part of an opened block is opened too"
    elsewhere = run.parent / "elsewhere"
    shutil.copytree(run, elsewhere)
    assert main([*words("verify", elsewhere, *BLOCK), "evaluate.scoring.seed=9"]) == 2

    capsys.readouterr()
    hidden = f"verify.ledger={run.parent}/hidden/seals.jsonl"
    assert main([*words("verify", run, *BLOCK), "evaluate.scoring.seed=9", hidden]) == 2
    err = capsys.readouterr().err
    assert "a sealed block is opened once" in err and str(state / "seals.jsonl") in err
    assert main([*words("verify", run, *BLOCK), hidden]) == 0, "the same opening, seen elsewhere"
    assert "opening 1, the first" in capsys.readouterr().out

    again = [*words("verify", run, *BLOCK), "evaluate.scoring.seed=9"]
    assert main([*again, "verify.reopen='the clock was wrong'"]) == 0
    out = capsys.readouterr().out
    assert "opening 2, AGAIN because: the clock was wrong" in out
    assert "OPENED AGAIN" in (run / "verify.html").read_text()
    assert score_of(run).opening.earlier[0].startswith(entry.written)


def test_the_hashes_are_on_disk_before_the_block_is_read(run, state, monkeypatch, capsys):
    def stopped(*_, **__):
        written = Ledger(run.parent / "seals.jsonl").entries()
        assert len(written) == 1
        raise ConfigError("stopped by the test")

    with monkeypatch.context() as patch:
        patch.setattr(verify, "predict", stopped)
        assert main(words("verify", run, *BLOCK)) == 2
    (state / "seals.jsonl").unlink()
    assert main(words("verify", run, *BLOCK)) == 0, "an interrupted opening goes on"
    assert "opening 1, the first" in capsys.readouterr().out
    assert len(Ledger(state / "seals.jsonl").entries()) == 1, "seen at last"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ((), "a sealed block has a start and an end"),
        (("verify.start=2012-09-15", "verify.end=2012-12-20"), "the buffer"),
        (("verify.start=2012-12-20", "verify.end=2012-10-20"), "the buffer"),
        (("verify.start=foo", "verify.end=2012-12-20"), "a time is ISO 8601"),
        ((*BLOCK, "verify.stride_hours=4"), "3-hour intervals apart"),
        ((*BLOCK, "training.batch_size=8"), "Run heliosight train"),
    ],
)
def test_a_mistake_is_one_clear_line_and_opens_nothing(trained, more, told, capsys):
    assert main(words("verify", trained, *more)) == 2
    assert told in capsys.readouterr().err
    assert not (trained.parent / "seals.jsonl").exists()
