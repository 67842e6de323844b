"""The repair study: models with a planted fault, and healthy ones that look ill, over seeds.

Finished cases are never run again, and the rates are those of the cases there are.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from heliosight.core import records
from heliosight.core.errors import HeliosightError
from heliosight.core.processes import die_with_parent
from heliosight.core.progress import bar, note, track
from heliosight.core.records import Interval
from heliosight.core.records_remedy import RepairCase, RepairStudy
from heliosight.workflows.pool import processes
from heliosight.workflows.repair_case import Case, case_made, cases, finished, world
from heliosight.workflows.run import Run, StageResult


def study(run: Run) -> StageResult:
    """Run what is not finished within the budget, a case a core; print the rates of what is."""
    root, wanted = run.folder / "repair_study", list(cases(run.config.improve.study_seeds))
    budget = 60 * run.config.improve.minutes
    one = partial(_in_time, run, root, time.time() + budget if budget else math.inf)
    laws = dict.fromkeys(case.law for case in wanted)
    for law in track(laws, "worlds", len(laws)):
        world(root, law)  # made once, before processes share them
    made = []
    with processes(run.config.threads, _begin) as executor:
        answers = (executor.map if executor else map)(one, wanted)
        with bar("repair study", len(wanted)) as running:
            for case, found in zip(wanted, answers, strict=True):
                made += [found] if isinstance(found, RepairCase) else []
                if isinstance(found, str):
                    note(f"{case.name}, seed {case.seed}, is left out: {found}")
                running.advance(note=f"{case.name} {case.seed}")
    record = summary(run, made, len(wanted))
    records.save(root / "summary", record)
    return StageResult(record, tuple(lines(record)))


def _begin() -> None:
    """A worker tells nothing: the progress is that of the cases."""
    os.environ["HELIOSIGHT_QUIET"] = "1"
    die_with_parent()


def _in_time(run: Run, root: Path, until: float, case: Case) -> RepairCase | str | None:
    """The case, or why it failed; one that is not finished is not begun when it is too late.

    until : the last moment [s since 1970].
    """
    torch.set_num_threads(1)
    if time.time() > until:
        return finished(run, root, case)
    try:
        return case_made(run, root, case)
    except HeliosightError as error:  # the others go on: so may two studies in one directory
        return str(error)


def summary(run: Run, made: Sequence[RepairCase], planned: int) -> RepairStudy:
    """Rates of the cases there are."""
    planted = [c for c in made if c.planted]
    ill = [c for c in planted if c.took]
    well = [c for c in made if not c.planted]
    rates = {
        "the planted fault took": rate([c.took for c in planted]),
        "repaired": rate([c.repaired for c in ill]),
        "found": rate([bool(set(c.planted) & set(c.found)) for c in ill]),
        "without a trace after training on": rate([c.by_continuing for c in ill]),
        "repaired by a random remedy": rate([c.by_random for c in ill]),
        "harmed, of all": rate([c.harmed for c in made]),
        "prescribed to the healthy": rate([bool(c.prescribed) for c in well]),
        "accepted on the healthy": rate([bool(c.accepted) for c in well]),
    }
    by_fault = {}
    for name in dict.fromkeys(c.case for c in made):
        mine = [c for c in made if c.case == name]
        asked = [c for c in mine if c.took or not c.planted]
        by_fault[name] = rate([c.repaired if c.planted else bool(c.prescribed) for c in asked])
        if len(asked) < len(mine):
            by_fault[f"{name}, took"] = rate([c.took for c in mine])
    return RepairStudy(run.provenance("", {}), len(made), planned, rates, by_fault)


def rate(hits: Sequence[bool]) -> Interval:
    """A share with its exact binomial interval (Clopper & Pearson 1934, Biometrika 26, 404)."""
    n, k = len(hits), int(np.sum(hits))
    if not n:
        return Interval(0.0, 0.0, 1.0, how="no case")
    low = float(stats.beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    high = float(stats.beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    return Interval(k / n, low, high, how=f"Clopper-Pearson, {k} of {n}")


def lines(record: RepairStudy) -> list[str]:
    """Rates as lines, then each fault and each healthy world."""
    told = [f"{record.cases} of {record.planned} cases"]
    for title, rates in (("", record.rates), ("  ", record.by_fault)):
        told += [
            f"{title}{name:<36} {v.value:.2f} [{v.low:.2f}, {v.high:.2f}] ({v.how})"
            for name, v in rates.items()
        ]
    return told
