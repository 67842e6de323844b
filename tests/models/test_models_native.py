"""Compiling once per machine: whole files only, never at import, every failure in one line."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from heliosight.models import native
from heliosight.models.native import CannotBuild, load_native


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "answer.cpp"
    path.write_text('extern "C" int answer() { return 42; }\n')
    return path


@pytest.fixture
def compiler() -> str:
    try:
        return native.compiler()
    except CannotBuild as error:
        pytest.skip(str(error))


def test_builds_once_and_loads_again(source, compiler, monkeypatch):
    assert load_native(source).answer() == 42
    made = list(native.cache_folder().iterdir())
    assert len(made) == 1 and made[0] == native.library_path(source)
    monkeypatch.setattr(native, "_build", lambda *_: pytest.fail("built twice"))
    assert load_native(source).answer() == 42


def test_another_source_is_another_library(source, compiler):
    first = native.library_path(source)
    source.write_text('extern "C" int answer() { return 43; }\n')
    assert native.library_path(source) != first
    assert load_native(source).answer() == 43


def test_builds_at_the_same_time_do_not_meet(source, compiler):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: load_native(source).answer(), range(4)))
    assert found == [42] * 4
    assert [p.name for p in native.cache_folder().iterdir()] == [native.library_path(source).name]


def test_a_source_that_does_not_compile_leaves_nothing(source, compiler):
    source.write_text("this is no program\n")
    with pytest.raises(CannotBuild, match="failed"):
        load_native(source)
    assert list(native.cache_folder().iterdir()) == []


def test_a_broken_library_is_told(source, compiler):
    path = native.library_path(source)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    with pytest.raises(CannotBuild, match="cannot be loaded"):
        load_native(source)


def test_no_compiler_is_told(source, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(CannotBuild, match=r"no C\+\+ compiler was found"):
        load_native(source)


def test_a_cache_that_cannot_be_written_is_told(source, compiler, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(CannotBuild, match="cannot be written"):
        load_native(source)


def test_a_compiler_that_does_not_run_is_told(source, monkeypatch, tmp_path):
    fake = tmp_path / "fake"
    fake.write_text("no program")
    fake.chmod(0o755)
    monkeypatch.setenv("CXX", str(fake))
    with pytest.raises(CannotBuild, match="did not run"):
        load_native(source)


def test_nothing_is_built_at_import(tmp_path):
    code = "import heliosight.models, heliosight.models.winograd"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


def test_the_source_ships_with_the_package():
    folder = Path(native.__file__).parent
    assert (folder / "winograd.cpp").is_file()
    shipped = (folder.parents[2] / "pyproject.toml").read_text()
    assert '"heliosight.models" = ["*.cpp"]' in shipped
