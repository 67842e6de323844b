"""Tiny runs of the stages that are killed: seconds each, in one process."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "data"))
from test_data_imaging import make_folder

from heliosight.cli import main
from heliosight.workflows import certify, certify_models, certify_worlds

CONFIGS = ["--config-dir", str(Path(__file__).parent / "configs")]


@dataclass(frozen=True)
class Stage:
    """One command; its words but for the run directory.

    Attributes
    ----------
    code : the exit code of a run that is not disturbed.
    """

    name: str
    words: tuple[str, ...]
    code: int = 0

    def run(self, folder: Path, *more: str) -> int:
        """Run it in this process, with more words."""
        return main([*self.words, f"run_dir={folder}", *more])


def stages(shared: Path, workers: int = 1) -> list[Stage]:
    """All four, on inputs made once below `shared`."""
    _shrink()
    if not (shared / "archives").is_dir():
        make_folder(shared / "archives", days=10)
    fetched = (
        "data.type=fetched", f"data.folder={shared / 'archives'}", f"data.workers={workers}",
        "data.channels=[aia_193,hmi_magnetogram]", "data.size=16", "name=fetched",
    )  # fmt: skip
    store = ("data.type=store", f"data.folder={shared / 'sun' / 'data'}")
    if not (shared / "sun" / "data").is_dir():
        with contextlib.redirect_stdout(io.StringIO()):
            main(
                [
                    "data",
                    "build",
                    *CONFIGS,
                    "--config-name",
                    "small_ill",
                    f"run_dir={shared / 'sun'}",
                ]
            )
    seeds = (f"threads={workers}", f"improve.seeds={workers}")
    only = (f"certify.workers={workers}", "certify.only=[F1]")
    return [
        Stage("data build", ("data", "build", *fetched)),
        Stage("train", ("train", *CONFIGS, "--config-name", "small", *store)),
        Stage("improve", ("improve", *CONFIGS, "--config-name", "small_ill", *store, *seeds)),
        Stage("certify", ("certify", "--quick", *CONFIGS, "--config-name", "small", *only)),
    ]


def _shrink() -> None:
    """A quick certificate of seconds: fewer epochs and windows than the shipped one."""
    certify.QUICK_DIAGNOSIS = replace(
        certify.QUICK_DIAGNOSIS, windows=24, shifts=2, subset=4, probed=24, checks=("T2", "T3")
    )
    certify_models.EPOCHS, certify_models.CALIBRATED = 1, 50
    certify_worlds.QUICK_YEARS = 1
