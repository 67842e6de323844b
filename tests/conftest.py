import os
from pathlib import Path

import pytest
import torch

os.environ.setdefault("HELIOSIGHT_QUIET", "1")
torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real observations; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("HELIOSIGHT_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "omni2").is_dir():
        pytest.skip(f"real observations are absent: no {folder}/omni2 (set HELIOSIGHT_DATA)")
    return folder
