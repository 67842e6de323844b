import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

os.environ.setdefault("HELIOSIGHT_QUIET", "1")
torch.set_num_threads(1)
# A busy machine is slow, and its inputs are no worse for it.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """A command run by the test before may have set another number; sums would round otherwise."""
    torch.set_num_threads(1)


ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real observations; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("HELIOSIGHT_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "omni2").is_dir():
        pytest.skip(f"real observations are absent: no {folder}/omni2 (set HELIOSIGHT_DATA)")
    return folder
