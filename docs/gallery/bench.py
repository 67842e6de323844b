"""What the gallery looks at: healthy and ill models on one simulated Sun, trained in seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from heliosight.core.batch import Batch
from heliosight.core.ports import WindowSource
from heliosight.core.progress import note
from heliosight.core.records import Finding
from heliosight.core.tables import SeriesTable
from heliosight.diagnosis import CHECKS, DiagnosisConfig
from heliosight.diagnosis.evidence import Evidence, evenly
from heliosight.diagnosis.running import run_all
from heliosight.models import Forecaster
from heliosight.subject import Subject, examine, wrap
from heliosight.workflows.certify_models import Wanted, trained
from heliosight.workflows.certify_windows import Handed
from heliosight.workflows.certify_worlds import World, keep_sun, world
from heliosight.zoo.explainers import gradient_x_input
from heliosight.zoo.faults import FaultConfig, plant
from heliosight.zoo.loader import LoaderFault, through_loader
from heliosight.zoo.recipes import Recipe

SPECTRUM, SEED = "A", 1
CONFIG = DiagnosisConfig(windows=400, shifts=8, subset=24, explained=16)
BY_ID = {check.id: check for check in CHECKS}
PLAIN = Recipe()


@cache
def bench() -> Path:
    """A folder for Sun and models of this process."""
    torch.set_num_threads(1)
    return Path(tempfile.mkdtemp(prefix="gallery-"))


@cache
def place(law: str = "plain", copy: float = 0.0) -> World:
    """The world under a law; see `heliosight.zoo.worlds`."""
    return world(keep_sun(bench(), SPECTRUM, False), SPECTRUM, law, copy)


def made(recipe: Recipe = PLAIN, architecture: str = "concat") -> tuple[Forecaster, list[Any]]:
    """A fresh copy of a trained model, and its training log."""
    store = keep_sun(bench(), SPECTRUM, False)
    note(f"gallery: {architecture} {recipe}")
    return trained(bench() / "models", Wanted(architecture, SPECTRUM, SEED, recipe, store))


@dataclass
class Case:
    """A model on windows it has not learned from, ready to be asked.

    title : what is healthy or ill about it.
    learned : the world it was trained in, for checks that compare with those windows.
    """

    title: str
    subject: Subject
    batch: Batch
    log: Sequence[Any] = ()
    explainers: dict[str, Callable[..., Any]] = field(default_factory=dict)
    level: str = "standard"
    learned: World | None = None

    @cached_property
    def evidence(self) -> Evidence:
        """What the checks look at, computed once."""
        config = replace(CONFIG, level=self.level)
        return Evidence(self.subject, self.batch, config, self.explainers, self.log, self._past())

    def _past(self) -> tuple[WindowSource, np.ndarray] | None:
        if self.learned is None:
            return None
        source = Handed(self.batch, self.learned)
        return source, source.all_times[evenly(len(source.all_times), CONFIG.probed)]

    def findings(self, check: str) -> list[Finding]:
        """Answers of one check."""
        with examine(self.subject):
            return run_all([BY_ID[check]], self.evidence, 1)[0]


def windows(law: str = "plain", copy: float = 0.0) -> Batch:
    """Daily windows of a span after the training."""
    found = place(law, copy)
    return found.batch(found.span(1))


def case(
    title: str,
    *faults: FaultConfig,
    recipe: Recipe = PLAIN,
    architecture: str = "concat",
    loader: LoaderFault | None = None,
    surgery: Callable[[Forecaster], None] | None = None,
    explainer: Callable[..., Any] = gradient_x_input,
    level: str = "standard",
    law: str = "",
    compared: bool = False,
) -> Case:
    """A trained model, with faults planted in it or in what it is given.

    law : of the windows, where it is not the one learned; compared : with the windows learned from.
    """
    model, log = made(recipe, architecture)
    plant(model, faults)
    if surgery is not None:
        surgery(model)
    batch = windows(law or recipe.law, 0.0 if law else recipe.copy)
    batch = through_loader(batch, loader) if loader else batch
    name = getattr(explainer, "__name__", "explainer")
    learned = place(recipe.law, recipe.copy)
    subject = wrap(model, learned.windows.spec, name=title)
    past = learned if compared else None
    return Case(title, subject, batch, log, {name: explainer}, level, past)


@cache
def healthy(architecture: str = "concat") -> Case:
    """The model without a fault."""
    return case("healthy", architecture=architecture)


def memorised() -> Case:
    """A log made up for the picture, best after the first epoch, and a model without its images.

    Memorising is a fault where it cost skill: here what the images tell is missed.
    """
    rows = [
        {"kind": "epoch", "epoch": k + 1, "stage": "all", "loss": 0.28 * 0.8**k,
         "validation_loss": 0.25 + 0.012 * k + 0.004 * (-1) ** k}
        for k in range(12)
    ]  # fmt: skip
    lost = FaultConfig("weak_features", "images", 0.003)
    return replace(case("ill: a log made up for this picture", lost), log=rows)


def copier() -> Case:
    """A model that says what was last measured."""
    table = place().tables["geomagnetic"]
    assert isinstance(table, SeriesTable)
    ap, times = table.column("ap"), table.times

    def last(_: nn.Module, batch: Batch) -> torch.Tensor:
        rows = np.searchsorted(times, batch.issue_time.numpy()) - 1
        return torch.as_tensor(ap[rows]).float()[:, None].expand(-1, batch.target.shape[1])

    subject = wrap(nn.Identity(), place().windows.spec, call=last)
    return Case("ill: it says the last value", subject, windows())
