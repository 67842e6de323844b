"""Nothing half made is seen, nothing of a killed maker is kept, nobody waits for the dead."""

import multiprocessing
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from heliosight.core import files, locks, making
from heliosight.core.errors import RecordError
from heliosight.core.processes import die_with_parent


def forked(do):
    """Run `do` in a process that is killed afterwards; waits for its end."""
    child = os.fork()
    if not child:
        try:
            do()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def names(folder):
    return sorted(p.name for p in folder.rglob("*"))


def test_what_a_killed_maker_left_is_removed_by_the_next(tmp_path):
    def half_a_file():
        with making.temporary_file(tmp_path / "x") as path:
            path.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    def half_a_folder():
        with files.folder_in_making(tmp_path / "x") as folder:
            (folder / "half").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    forked(half_a_file)
    forked(half_a_folder)
    assert "half" in names(tmp_path)
    files.write_text(tmp_path / "y", "another target")
    assert "half" in names(tmp_path)
    files.write_text(tmp_path / "x", "whole")
    assert names(tmp_path) == ["x", "y"]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_kill_right_after_the_end_leaves_nothing(tmp_path, monkeypatch, replaced):
    if replaced:
        with files.folder_in_making(tmp_path / "x"):
            pass

    def finish_and_die():
        kill = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
        monkeypatch.setattr(making.shutil, "rmtree", kill)
        with files.folder_in_making(tmp_path / "x"):
            pass

    forked(finish_and_die)
    assert files.is_sealed(tmp_path / "x")
    making.sweep(tmp_path / "x")
    assert names(tmp_path) == ["manifest.json", "x"]


def test_other_hidden_files_are_left_alone(tmp_path):
    (tmp_path / ".x.original").write_text("somebody's own")
    (tmp_path / ".y.making-aaaaaaaa").write_text("of another target")
    files.write_text(tmp_path / "x", "whole")
    assert names(tmp_path) == [".x.original", ".y.making-aaaaaaaa", "x"]


def test_a_living_maker_is_left_alone(tmp_path):
    with making.temporary_folder(tmp_path / "x") as one:
        with making.temporary_folder(tmp_path / "x") as other:
            assert one.is_dir() and other.is_dir() and one != other
        assert one.is_dir() and not other.exists()
    assert names(tmp_path) == []


@pytest.mark.parametrize("swaps", [True, False])
def test_a_folder_is_replaced_whole(tmp_path, monkeypatch, swaps):
    if not swaps:  # as on a system without renameat2
        monkeypatch.setattr(making, "_exchange", lambda *_: False)
    for text in ("old", "new"):
        with files.folder_in_making(tmp_path / "x") as folder:
            (folder / text).write_text(text)
    assert names(tmp_path) == ["manifest.json", "new", "x"]


def test_a_reader_finds_a_folder_at_every_moment(tmp_path):
    def replace():
        while True:
            with files.folder_in_making(tmp_path / "x") as folder:
                (folder / "0").write_text("")

    with files.folder_in_making(tmp_path / "x") as folder:
        (folder / "0").write_text("")
    child = os.fork()
    if not child:
        replace()
    try:
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            assert (tmp_path / "x").is_dir()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_work_is_kept_for_the_next_run_and_removed_at_the_end(tmp_path):
    with pytest.raises(ZeroDivisionError), making.workplace(tmp_path / "x", "k" * 64) as work:
        (work / "checkpoint").write_text("half way")
        raise ZeroDivisionError
    with making.workplace(tmp_path / "x", "k" * 64) as work:
        assert (work / "checkpoint").read_text() == "half way"
    assert names(tmp_path) == []
    making.workplace_of(tmp_path / "x", "k" * 64).mkdir()
    making.clear_workplace(tmp_path / "x", "k" * 64)
    assert names(tmp_path) == []


def test_a_second_run_is_refused_and_the_first_goes_on(tmp_path):
    with making.workplace(tmp_path / "x", "key") as work:
        (work / "mine").write_text("")
        with pytest.raises(RecordError, match="one run at a time works in a folder"):
            making.workplace(tmp_path / "x", "key").__enter__()
        assert (work / "mine").is_file()


def test_the_lock_of_a_killed_run_is_nobodys(tmp_path):
    def take_and_die():
        making.workplace(tmp_path / "x", "key").__enter__()
        os.kill(os.getpid(), signal.SIGKILL)

    forked(take_and_die)
    with making.workplace(tmp_path / "x", "key"):
        pass


def test_without_locks_everything_works_unguarded(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(locks.errno.ENOLCK, "no locks")

    (tmp_path / ".x.making-aaaaaaaa").write_text("perhaps a living maker's")
    monkeypatch.setattr(locks.fcntl, "flock", none)
    files.write_text(tmp_path / "x", "whole")
    with making.workplace(tmp_path / "y", "key"):
        pass
    assert names(tmp_path) == [".x.making-aaaaaaaa", "x"]


def test_another_trouble_with_a_lock_is_told(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(locks.errno.EIO, "the disk is broken")

    monkeypatch.setattr(locks.fcntl, "flock", broken)
    with pytest.raises(OSError, match="the disk is broken"):
        files.write_text(tmp_path / "x", "whole")


def _say_pid(folder):
    (folder / str(os.getpid())).touch()
    time.sleep(60)


def _be_a_parent(folder):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), die_with_parent) as pool:
        pool.submit(_say_pid, folder).result()


def test_a_worker_ends_when_its_parent_is_killed(tmp_path):
    parent = multiprocessing.get_context("fork").Process(target=_be_a_parent, args=(tmp_path,))
    parent.start()
    while not list(tmp_path.iterdir()):
        time.sleep(0.05)
    worker = int(next(tmp_path.iterdir()).name)
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    for _ in range(200):
        if not Path(f"/proc/{worker}").exists() or "Z" in _state(worker):
            return
        time.sleep(0.05)
    pytest.fail("the worker outlives its parent")


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"
