"""Sessions beside `make test`: oldest and newest dependencies, each declared Python, the wheel.

Each needs a CPU build of torch for its Python: nox -s oldest, nox -s newest-3.12, ...
"""

import tomllib
from pathlib import Path

import nox

PYTHONS = ("3.11", "3.12", "3.13")
PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]
TORCH = "torch==2.13.0"  # the tested release; the lower bound's own wheel may be gone
CHECKERS = ("ruff", "mypy", "import-linter")  # judge the source, the same on any dependency
nox.options.sessions = ["oldest", "newest"]


def oldest_pins() -> list[str]:
    """Every lower bound as an exact pin, torch aside."""
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    lower = [text.split(",")[0] for text in wanted if not text.startswith(("torch", *CHECKERS))]
    return [text.replace(">=", "==") for text in lower]


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """The tests on the lower bounds of every dependency."""
    session.install(TORCH)
    session.install(*oldest_pins())
    session.install("--no-deps", "--editable", ".")
    tests(session)


@nox.session(python=PYTHONS)
def newest(session: nox.Session) -> None:
    """The tests on the newest releases that the ranges allow."""
    session.install(TORCH)
    session.install("--editable", ".[dev]")
    tests(session)


def tests(session: nox.Session) -> None:
    """What CI runs of pytest, or what was asked: `nox -s oldest -- tests/core`."""
    session.run("pytest", *(session.posargs or ("-n", "2")), env={"OMP_NUM_THREADS": "1"})


@nox.session(python="3.11")
def wheel(session: nox.Session) -> None:
    """The built wheel alone, outside the repository."""
    session.install("build", TORCH)
    session.run("python", "-m", "build", "--outdir", session.create_tmp())
    built = next(Path(session.create_tmp()).glob("*.whl"))
    session.install(str(built))
    session.chdir(session.create_tmp())
    session.run("heliosight", "--version")
    session.run("heliosight", "config", "validate")
