"""The wheel and the sdist, built and used without the repository."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("*.py", "*.yaml", "*.json", "*.html", "*.css", "*.js", "*.md", "*.cpp")
BUILD = """
import sys
from setuptools.build_meta import build_sdist, build_wheel
out = sys.argv[1]  # setuptools puts words of its own there
build_sdist(out)
build_wheel(out)
"""


def run(*words, cwd):
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Both, built from a copy of what is under version control or about to be."""
    copy, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    names = ("src", "pyproject.toml", "README.md", "LICENSE")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *names], cwd=ROOT, check=True,
        capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    for name in filter(lambda n: (ROOT / n).is_file(), listed):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-W", "ignore", "-c", BUILD, str(out), cwd=copy)
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def sources():
    package = ROOT / "src" / "heliosight"
    return {p.relative_to(package.parent).as_posix() for s in SHIPPED for p in package.rglob(s)}


def test_both_hold_every_file_of_the_package(built):
    wheel, sdist = built
    with zipfile.ZipFile(wheel) as file:
        packed = set(file.namelist())
    assert sources() <= packed
    assert not [n for n in packed if n.startswith(("tests", "docs")) or n.endswith(".so")]
    with tarfile.open(sdist) as file:
        names = {n.split("/", 1)[1] for n in file.getnames() if "/" in n}
    assert {f"src/{name}" for name in sources()} <= names
    assert {"pyproject.toml", "LICENSE", "README.md"} <= names


def test_the_wheel_works_in_an_environment_of_its_own(built, tmp_path):
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    words = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "-q",
        "--no-deps",
        "--no-compile",
    ]
    run(*words, "--no-index", "--disable-pip-version-check", str(built[0]), cwd=tmp_path)
    site = next((tmp_path / "env").glob("lib/python*/site-packages"))
    # dependencies come from here, after the wheel: a line of a path file is no site folder
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = tmp_path / "env" / "bin" / "heliosight"
    assert run(str(command), "--version", cwd=tmp_path).startswith("heliosight 0.")
    assert "valid" in run(
        str(command), "config", "validate", "--config-name", "sweep", cwd=tmp_path
    )
    where = run(str(python), "-c", "import heliosight; print(heliosight.__file__)", cwd=tmp_path)
    assert where.startswith(str(site))
