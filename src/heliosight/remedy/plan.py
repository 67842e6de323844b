"""From findings to the remedies worth trying: the cheapest first, roots before what follows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, final

import numpy as np

from heliosight.core.records import Finding
from heliosight.core.records_remedy import Prescription
from heliosight.remedy.catalogue import REPAIRS, named
from heliosight.remedy.judge import Fault, lost, lost_branches
from heliosight.remedy.patch import changes

COSTS = ("quick", "structural", "training")
IMAGE_KEYS = ("@images", "model.auxiliary", "training.curriculum", "image_shift")
MOST_BLOCKS = 400  # thirty years: beyond it "more data" is no advice


@final
@dataclass(frozen=True)
class Step:
    """A remedy and the faults it is tried for."""

    prescription: Prescription
    targets: tuple[Fault, ...]


def symptoms(findings: Sequence[Finding]) -> list[Fault]:
    """Faults in the order given, then branches lost at the fusion; none twice."""
    named_faults = [Fault(f.subject, f.cause) for f in findings if f.outcome == "fault"]
    return list(dict.fromkeys([*named_faults, *lost_branches(findings)]))


def concerns(prescription: Prescription, fault: Fault, plain: Mapping[str, Any]) -> bool:
    """False when a remedy changes the image branch and the fault is another modality's."""
    if not any(part in key for key in prescription.patch for part in IMAGE_KEYS):
        return True
    named_in = [m for m in plain["inputs"] if m in re.split(r"[./]", fault.subject)]
    return not named_in or any(plain["inputs"][m]["kind"] == "images" for m in named_in)


def plan(findings: Sequence[Finding], plain: Mapping[str, Any]) -> tuple[Step, ...]:
    """Steps for all faults; a remedy that would change nothing in the config is left out.

    Parameters
    ----------
    findings : the most likely root first.
    plain : the whole config as mappings.

    Returns
    -------
    Quick before structural before training; within each, roots before what follows from them.
    """
    faults = symptoms(findings)
    steps = []
    for prescription in REPAIRS:
        answered = [f for f in faults if f.cause in prescription.answers]
        targets = tuple(f for f in answered if concerns(prescription, f, plain))
        if targets and changes(plain, prescription.patch):
            steps.append(Step(prescription, targets))
    return tuple(
        sorted(steps, key=lambda s: (COSTS.index(s.prescription.cost), faults.index(s.targets[0])))
    )


def random_step(
    steps: Sequence[Step], plain: Mapping[str, Any], rng: np.random.Generator
) -> Prescription | None:
    """A remedy that answers none of the faults but changes the config; None when there is none."""
    tried = {s.prescription.name for s in steps}
    others = [p for p in REPAIRS if p.name not in tried and changes(plain, p.patch)]
    return others[int(rng.integers(len(others)))] if others else None


def advice(findings: Sequence[Finding]) -> tuple[tuple[str, str], ...]:
    """Name and text of every remedy for a model that no config describes, and of what is none.

    Each text says what to do and by which check one sees that it worked.
    """
    faults = symptoms(findings)
    found = []
    for prescription in REPAIRS:
        targets = [f for f in faults if f.cause in prescription.answers]
        if targets:
            what = f"{prescription.recipe} Worked when: {prescription.proof}"
            text = f"{', '.join(map(str, targets))}: {what}"
            found.append((faults.index(targets[0]), prescription.name, text))
    ordered = sorted(found, key=lambda one: one[0])  # what answers the first fault comes first
    return (*((name, text) for _, name, text in ordered), *unrepaired(findings))


def unrepaired(findings: Sequence[Finding]) -> tuple[tuple[str, str], ...]:
    """Inputs to remove, and how much more data an open question needs."""
    found = []
    remove = named("remove_input")
    for f in findings:
        if f.outcome == "benign_unused" and f.check == "USE":
            text = f"{f.subject}: {f.reason}. {remove.recipe} Worked when: {remove.proof}"
            found.append((remove.name, text))
    for f in findings:
        needed = blocks_needed(f)
        if f.outcome == "inconclusive" and needed is not None and not lost(f):
            found.append(("more_data", f"{f.check} {f.subject}: {needed}"))
    return tuple(found)


def blocks_needed(finding: Finding, smallest: float = 0.01) -> str | None:
    """How many blocks of 27 days would decide a finding whose interval is a jackknife's.

    Half the interval shrinks by the root of the number of blocks; it has to come under the
    distance of the value from the smallest effect of interest, or under that effect itself.
    """
    value = finding.value
    if value is None or value.low is None or value.high is None or " blocks of " not in value.how:
        return None
    blocks = int(value.how.split(" blocks of ")[0].split()[-1])
    half = (value.high - value.low) / 2
    goal = max(abs(value.value - smallest), smallest)
    needed = ceil(blocks * (half / goal) ** 2)
    if needed <= blocks:
        return None
    if needed > MOST_BLOCKS:
        return f"over {MOST_BLOCKS} blocks of 27 days would be needed; leave the question open"
    return f"about {needed} blocks of 27 days would decide it, {blocks} were there"
