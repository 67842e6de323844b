"""Skill of trained networks against what the simulated Sun lets anybody know.

    make skill        # trains three seeds, then calls: python benchmarks/skill.py runs/skill/seed_*

For each seed and day: the share of the variance of daily mean log1p(ap) that each network explains
on the test block, what images add (full - wind, 27-day block bootstrap), and what part the network
reaches of the oracle's floor (ridge on noise-free features, learned on the same past) and of its
ceiling (the conditional mean that knows every structure). The oracle is asked here alone, after
everything is trained.
"""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path

import numpy as np
import yaml

from heliosight.core import records
from heliosight.core.clock import HOUR
from heliosight.core.folds import Fold
from heliosight.core.seeding import numpy_stream
from heliosight.data.splits import load_folds
from heliosight.evaluation.bootstrap import Blocks, interval
from heliosight.sun.information import Knowable, knowable_on
from heliosight.sun.world import build_world, coloured_noise
from heliosight.workflows.config import AppConfig, app_config
from heliosight.workflows.config_data import SunData

DRAWS, DAYS = 1000, (1, 2, 3)
Days = tuple[np.ndarray, np.ndarray, np.ndarray]  # issue times (N,), forecast (N, 3), observed


def main() -> None:
    """Print one table for all run directories."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path, help="run directories, one a seed")
    parser.add_argument("--config-name", default="skill")
    parser.add_argument("--issues", type=int, default=200, help="issue times of the ceiling")
    parser.add_argument("--members", type=int, default=24, help="futures drawn at each")
    given = parser.parse_args()
    runs = given.runs or sorted(Path("runs/skill").glob("seed_*"))
    if not runs:
        print("nothing is trained yet: make skill")
        return
    text = (files("heliosight.conf") / f"{given.config_name}.yaml").read_text()
    config = app_config(yaml.safe_load(text))
    (fold,) = load_folds(runs[0] / "split.json")
    known = brackets(config, fold, given.issues, given.members)
    for k in known:
        print(f"oracle {k.information:<6} day {k.day}: floor {k.floor:.3f}, {_ceiling(k)}")
    both = {k.day: k for k in known if k.information == "both"}
    for run in runs:
        for line in lines(run, fold, both):
            print(f"{run.name}: {line}")


def brackets(config: AppConfig, fold: Fold, issues: int, members: int) -> list[Knowable]:
    """What could be known on the fold's test block."""
    assert isinstance(config.data, SunData), "the oracle knows the simulated Sun alone"
    world = build_world(config.data.sun)
    learn = np.arange(fold.train[0] // HOUR, fold.validation[1] // HOUR, 12)
    test = np.arange(fold.test[0] // HOUR, fold.test[1] // HOUR - 72, 12)
    return knowable_on(world, coloured_noise(world), learn, test, issues, members)


def lines(run: Path, fold: Fold, both: dict[int, Knowable]) -> list[str]:
    """One line a day."""
    full, wind = (daily(run, system, fold) for system in ("full", "wind"))
    when, forecast, y = full
    blocks = Blocks.of(when, np.zeros(len(when), int), 27.0)
    counts = blocks.draw(DRAWS, numpy_stream(0, "skill"))
    found = []
    for row, day in enumerate(DAYS):
        parts = [(y[:, row] - f[:, row]) ** 2 for f in (forecast, wind[1])]
        terms = np.stack([np.ones(len(y)), y[:, row], y[:, row] ** 2, *parts], 1)
        n, s, ss, a, b = np.moveaxis(blocks.resample(blocks.sum(terms), counts)[0], -1, 0)
        variance = ss - s * s / n
        share, other = 1 - a / variance, 1 - b / variance
        k, ceiling = both[day], both[day].ceiling or np.nan
        found.append(
            f"day {day}: full {_told(share)}, wind {_told(other)}, full - wind "
            f"{_told(share - other)}, MSE skill {_told(1 - a / b)}; of the floor "
            f"{share[0] / k.floor:.2f}, of the ceiling {share[0] / ceiling:.2f}"
        )
    return found


def daily(run: Path, system: str, fold: Fold) -> Days:
    """Daily means of log1p(ap): issue times, forecast and observed, of one trained system."""
    arrays = records.load_arrays(run / "train" / system / fold.name)
    log = np.log1p(arrays["observed"])
    means = [x.reshape(len(x), 3, 8).mean(2) for x in (arrays["mean_log"], log)]
    known = np.isfinite(means[1]).all(1)
    return arrays["issue_time"][known], means[0][known], means[1][known]


def _told(samples: np.ndarray) -> str:
    found = interval(samples, 0.95, "")
    return "-" if found is None else f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _ceiling(k: Knowable) -> str:
    return "no ceiling" if k.ceiling is None else f"ceiling {k.ceiling:.3f} +- {k.error:.3f}"


if __name__ == "__main__":
    main()
