"""A full disk, a read-only folder, a missing permission, two runs at once, a clock that jumps.

These tests may run as root, for whom no permission is missing: so the errors are those that the
system would give, put in its place; a limit on file sizes is real.
"""

import errno
import os
import resource
import shutil
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
from test_data_imaging import make_folder

from heliosight.cli import main
from heliosight.core import files, records
from heliosight.data.store import load_store
from heliosight.issuing import archive as archives
from heliosight.issuing.ledger import Ledger


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder of images, the run that built a store of it, and the words for it."""
    root = tmp_path_factory.mktemp("disk")
    make_folder(root / "got", days=2, hours=12)
    words = ("data", "build", "data.type=fetched", f"data.folder={root / 'got'}", "name=mine",
             "data.channels=[aia_193,hmi_magnetogram]", "data.size=16", "data.workers=1",
             "data.image_cadence_hours=12")  # fmt: skip
    assert main([*words, f"run_dir={root / 'run'}"]) == 0
    return root / "run", words


@pytest.fixture
def run(built, tmp_path):
    shutil.copytree(built[0], tmp_path / "run")
    return tmp_path / "run", [*built[1], f"run_dir={tmp_path / 'run'}"]


def tree(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def fails(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("where", "name", "number"),
    [
        (os, "fsync", errno.ENOSPC), (os, "posix_fallocate", errno.ENOSPC),
        (tempfile, "mkstemp", errno.EROFS), (tempfile, "mkstemp", errno.EACCES),
        (np, "save", errno.EDQUOT), (Path, "replace", errno.EIO),
    ],
)  # fmt: skip
def test_a_disk_that_refuses_is_told_and_what_was_finished_stays(
    run, monkeypatch, capsys, where, name, number
):
    folder, words = run
    before = tree(folder)
    with monkeypatch.context() as broken:
        broken.setattr(where, name, fails(number))
        assert main([*words, "--force"]) == 2
    said = capsys.readouterr().err
    assert os.strerror(number) in said and "run the same command again" in said
    assert tree(folder) == before
    assert main(words) == 0


def test_a_real_limit_in_the_middle_of_a_record(tmp_path):
    """Files above 20 kB cannot be written: as on a full disk, but for the number of the error."""
    record = records.Diagnosis(subject="first")
    records.save(tmp_path / "r", record, {"a": np.zeros(3)})
    child = os.fork()
    if not child:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
            noise = np.random.default_rng(0).normal(size=100_000)
            records.save(tmp_path / "r", record, {"a": noise})
        except OSError as error:
            code = 0 if error.errno == errno.EFBIG else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert records.load_arrays(tmp_path / "r")["a"].tolist() == [0, 0, 0]
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_a_mapped_file_takes_its_room_before_it_is_written(tmp_path):
    frames = np.lib.format.open_memmap(tmp_path / "x", "w+", np.uint8, (1 << 20,))
    files.reserve(tmp_path / "x")
    assert (tmp_path / "x").stat().st_blocks * 512 >= frames.nbytes


def test_two_builds_at_once_end_with_one_whole_store(run):
    folder, words = run
    hashed = load_store(folder / "data").hash
    children = []
    for _ in range(2):
        children.append(os.fork())
        if not children[-1]:
            code = 1
            try:
                code = main([*words, "--force"])
            finally:
                os._exit(code)
    assert [os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children] == [0, 0]
    assert load_store(folder / "data").hash == hashed
    assert not list(folder.rglob(".*"))


class Jumping(datetime):
    """A clock that is set back by a year each time it is read."""

    reads = 0

    @classmethod
    def now(cls, tz=None):  # noqa: ARG003
        cls.reads += 1
        return datetime(2026, 1, 1, tzinfo=UTC) - timedelta(days=365 * cls.reads)


def test_a_clock_that_jumps_back_makes_nothing_anew(run, monkeypatch, capsys):
    folder, words = run
    before = tree(folder)
    monkeypatch.setattr(records, "datetime", Jumping)
    for path in folder.rglob("*"):
        os.utime(path, (4e9, 4e9))  # written in the year 2096, it seems
    assert main(words) == 0
    assert tree(folder) == before
    assert main([*words, "--force"]) == 0
    assert load_store(folder / "data").card.provenance.created < "2026"


def test_a_ledger_keeps_its_order_when_the_clock_jumps_back(tmp_path, monkeypatch):
    monkeypatch.setattr("heliosight.issuing.ledger.datetime", Jumping)
    monkeypatch.setattr(archives, "datetime", Jumping)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for k in range(3):
        ledger.append({"k": k})
    found = ledger.entries()
    assert [e.body["k"] for e in found] == [0, 1, 2]
    assert found[0].written > found[2].written
    assert archives._now() != archives._now()


def test_durations_come_from_clocks_that_cannot_jump():
    """`time.time` is read where the moment itself is asked for, never subtracted."""
    root = Path(files.__file__).parents[1]
    lines = [line for p in root.rglob("*.py") for line in p.read_text().splitlines()]
    wall = [line for line in lines if "time.time()" in line]
    assert wall and not [
        line for line in wall if "- time.time()" in line or "time.time() -" in line
    ]
