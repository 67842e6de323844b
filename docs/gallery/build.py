"""The whole gallery, made once for each state of the code."""

from __future__ import annotations

import shutil
from pathlib import Path

import checks
import leakage
import methods

import heliosight
from heliosight.core.files import digest, sha256
from heliosight.core.progress import track

HERE = Path(__file__).parent
MADE, KEY = HERE / "made", "key"


def make_all() -> None:
    """Make every picture and text unless they are those of this code."""
    key = state()
    if (MADE / KEY).is_file() and (MADE / KEY).read_text() == key:
        return
    shutil.rmtree(MADE, ignore_errors=True)
    MADE.mkdir()
    wanted = [(checks.make, name) for name in checks.SHOWN]
    wanted += [(methods.make, name) for name in (*methods.METHOD_NAMES, *methods.OTHERS)]
    wanted += [(leakage.make, "leakage")]
    for make, name in track(wanted, "gallery", len(wanted)):
        make(name, MADE)
    (MADE / KEY).write_text(key)


def state() -> str:
    """Hash of the package's and the gallery's source."""
    package = Path(heliosight.__file__).parent
    files = sorted([*package.rglob("*.py"), *HERE.glob("*.py")])
    return digest([[p.name, sha256(p)] for p in files])
