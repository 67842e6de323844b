"""What the data hold, by range of frames."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from heliosight.core.batch import Batch
from heliosight.core.records import Interval
from heliosight.remedy import grade_temporal
from heliosight.sun.added import Added
from heliosight.sun.information import Knowable
from heliosight.workflows.examination import _temporal
from heliosight.workflows.knowable import _from_oracle, from_probe, ranges


def batch_of(frames, drive):
    """Windows `(N)` two days apart whose log target follows a drive."""
    n, target = len(drive), np.expm1(2 + 0.3 * drive)[:, None].repeat(8, 1)
    return Batch(
        {"images": torch.tensor(frames)}, {"images": torch.ones(n, 1, 4, dtype=torch.bool)},
        torch.arange(n) * 86400 * 2, torch.tensor(target).float(),
        torch.ones(n, 8, dtype=torch.bool),
    )  # fmt: skip


def test_ranges_cover_every_frame_once():
    assert ranges(28) == [(0, 7), (7, 14), (14, 21), (21, 28)]
    assert ranges(3) == [(0, 1), (1, 2), (2, 3)]


def test_a_probe_finds_the_frames_that_tell():
    n, rng = 240, np.random.default_rng(1)
    frames = rng.normal(120, 10, (n, 1, 4, 6, 6)).astype(np.float32)
    drive = rng.standard_normal(n)
    frames[:, :, 3] += 20 * drive[:, None, None, None].astype(np.float32)
    found = from_probe(batch_of(frames, drive), ranges(4))
    assert found.low[3] > 0.5 and max(found.low[:3]) < 0.05
    assert found.explained == pytest.approx(sum(found.value)) and 0.5 < found.explained <= 1


@pytest.mark.parametrize(("own", "grade"), [(0.0, "good"), (1.0, "moderate")])
def test_a_reader_of_the_newest_frames_is_graded_by_what_it_leaves_out(own, grade):
    """Older frames that repeat the newest, and older ones that tell something of their own."""
    n, rng = 240, np.random.default_rng(2)
    drive, other = rng.standard_normal((2, n))
    frames = rng.normal(120, 3, (n, 1, 4, 6, 6)).astype(np.float32)
    frames[:, :, 3] += 20 * drive[:, None, None, None].astype(np.float32)
    frames[:, :, 2] += 20 * (drive + own * other)[:, None, None, None].astype(np.float32)
    known = from_probe(batch_of(frames, drive + own * other), ranges(4))
    newest = {"range": np.array([0.0, 0, 0, 1]), "range_low": np.array([0.0, 0, 0, 0.9])}
    assert grade_temporal(_temporal(newest, known)).grade == grade


def test_too_few_blocks_leave_the_ceiling_without_an_interval():
    here = SimpleNamespace(
        study=SimpleNamespace(times=lambda *_: np.arange(3)), system="full",
        fold=SimpleNamespace(train=(0, 1), test=(1, 2)),
        config=SimpleNamespace(improve=SimpleNamespace(knowable_issues=4)),
    )  # fmt: skip
    oracle = SimpleNamespace(
        added=lambda frames: Added(((0.1, 0.01),) * len(frames), 0.6),
        achievable_on=lambda *_: [Knowable("both", 1, 0.3, 0.8, float("nan"))],
    )
    found = _from_oracle(here, oracle, 8)
    assert found.ceiling == Interval(0.8, how="Monte Carlo of the world")
    assert found.floor.value == 0.3 and len(found.low) == 4 and found.explained == 0.6
