"""One case of the certificate: its model, whether the manipulation took, its diagnosis."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from heliosight.core import records
from heliosight.core.batch import Batch
from heliosight.core.config import dump
from heliosight.core.files import digest, is_sealed
from heliosight.core.records import Diagnosis
from heliosight.core.records_certificate import CertifiedCase, NamedFault
from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.diagnosis.verdict import faults
from heliosight.models import Forecaster
from heliosight.remedy import lost_branches
from heliosight.subject import Subject, adapter, wrap
from heliosight.workflows.certify_models import Wanted, keep_trained, trained, untrained
from heliosight.workflows.certify_windows import Handed
from heliosight.workflows.certify_worlds import TEST_HOURS, World, world
from heliosight.zoo import healthy
from heliosight.zoo.cases import Case
from heliosight.zoo.explainers import RIGHT, WRONG, explainer_took
from heliosight.zoo.faults import plant
from heliosight.zoo.foreign import NATURAL, ForeignNet, fit, foreign
from heliosight.zoo.loader import loader_took, through_loader
from heliosight.zoo.manipulation import took
from heliosight.zoo.recipes import Recipe
from heliosight.zoo.rules import rules_of_thumb
from heliosight.zoo.trained import Trained, training_took
from heliosight.zoo.truth import Forecasts, Truth, forecasts_of, truth_of

CHECKED = 48  # windows a manipulation is checked on
TRUTH_EVERY = 2  # of four years of daily windows
FOREIGN = 3000  # windows a foreign model learns from


@dataclass(frozen=True)
class Bench:
    """Where a half's models and cases lie, and what decides about them."""

    folder: Path
    store: Path
    config: DiagnosisConfig
    code: str
    quick: bool = False

    def wanted(self, case: Case) -> Wanted:
        """The trained model behind a case."""
        return Wanted(
            case.architecture, case.spectrum, case.seed, case.planting.recipe, self.store,
            self.quick,
        )  # fmt: skip

    def models(self, case: Case) -> list[Wanted]:
        """Every trained model a case needs, its plain twin included."""
        if case.stratum == "natural":
            return []
        own = self.wanted(case)
        return list(dict.fromkeys((own, replace(own, recipe=Recipe()))))


def train_one(bench: Bench, wanted: Wanted) -> str:
    """Train one model unless it is there."""
    _quiet()
    return keep_trained(bench.folder / "models", wanted).name


def run_one(bench: Bench, case: Case) -> CertifiedCase:
    """One case, diagnosed unless its record is there."""
    _quiet()
    place = bench.folder / "cases" / case.name
    models = [w.key for w in bench.models(case)]
    key = digest([bench.code, dump(case), dump(bench.config), bench.store.name, models])
    if is_sealed(place):
        made = records.load(place, CertifiedCase)
        if made.provenance.key == key:
            return made
    start = time.process_time()
    ready = _ready_foreign(bench, case) if case.stratum == "natural" else _ready(bench, case)
    found = diagnose(
        ready.subject, ready.source, bench.config, issue_times=ready.source.times,
        data_times=ready.source.all_times, records=ready.log, explainers=ready.explainers,
        shared=_shared(bench, case),
    )  # fmt: skip
    record = replace(
        _record(case, found, ready),
        provenance=records.provenance("", case.seed, key, {}, simulated=True),
        seconds=time.process_time() - start,
    )
    records.save(place, record)
    return record


def _quiet() -> None:
    torch.set_num_threads(1)


@dataclass(frozen=True)
class _Ready:
    subject: Subject
    source: Handed
    took: bool
    note: str
    rules: dict[str, bool]
    log: Sequence[dict[str, Any]] = ()
    explainers: Any = None


def _ready(bench: Bench, case: Case) -> _Ready:
    """A case's model, windows and manipulation check."""
    wanted, planting = bench.wanted(case), case.planting
    model, log = trained(bench.folder / "models", wanted)
    law = planting.law or planting.recipe.law
    place = world(bench.store, case.spectrum, law, planting.recipe.copy)
    times = place.span(case.span)
    plain = place.batch(times)
    batch = place.batch(times, max((f.days for f in planting.loader), default=0.0))
    for fault in planting.loader:
        batch = through_loader(batch, fault)
    if case.stratum in ("healthy", "hard"):
        _look_ill(model, case, plain)
        truth = _truth(bench, case, model, place)
        uses = healthy.BY_ID[case.hard].uses if case.hard else ("images", "solar_wind")
        done, note = truth.healthy(uses), truth.text()
    else:
        done, note = _manipulated(bench, case, model, plain, batch, log)
    subject = wrap(model, place.windows.spec, name=case.name)
    rules = rules_of_thumb(model, batch.select(slice(0, CHECKED)))
    explained = bool(case.hard) and healthy.BY_ID[case.hard].explained
    explainers = {planting.explainer: WRONG[planting.explainer]} if planting.explainer else RIGHT
    asked = explainers if planting.explainer or explained else None
    return _Ready(subject, Handed(batch, wanted.world), done, note, rules, log, asked)


_TRUTHS: dict[str, Truth] = {}
_SHARED: dict[str, dict[Any, Any]] = {}


def _truth(bench: Bench, case: Case, model: Forecaster, place: World) -> Truth:
    """Truth of a model over all test spans, once a process; a static gate depends on the span."""
    name = digest([bench.wanted(case).key, case.hard, case.span if case.kind == "H8" else 0])
    if name not in _TRUTHS:
        _TRUTHS[name] = _asked_of_all(partial(forecasts_of, model), place)
    return _TRUTHS[name]


def _asked_of_all(forecasts: Forecasts, place: World) -> Truth:
    """Truth on every second day of all test spans."""
    rare = place.test[::TRUTH_EVERY]
    hours = TRUTH_EVERY * TEST_HOURS
    return truth_of(forecasts, place.batch(rare), hours, place.drivers(rare))


def _shared(bench: Bench, case: Case) -> dict[Any, Any]:
    """What a diagnosis knows of the windows alone: cases on the same windows share it."""
    recipe = case.planting.recipe
    laws = [case.planting.law or recipe.law, recipe.law, recipe.copy]
    told = [case.spectrum, laws, case.span, dump(case.planting.loader)]
    return _SHARED.setdefault(digest([bench.store.name, *told]), {})


def _look_ill(model: Forecaster, case: Case, batch: Batch) -> None:
    """What is done to a plain healthy model so that it looks ill."""
    surgery = healthy.BY_ID[case.hard].surgery if case.hard else ""
    if surgery == "rescaled":
        healthy.rescaled(model, "images")
    elif surgery == "static_gate":
        healthy.static_gate(model, batch)


def _manipulated(
    bench: Bench, case: Case, model: Forecaster, plain: Batch, batch: Batch, log: list[Any]
) -> tuple[bool, str]:
    """Plant what is planted by surgery; whether all of it took."""
    planting, wanted = case.planting, bench.wanted(case)
    few, answers, notes = plain.select(slice(0, CHECKED)), [], []
    if planting.surgery:
        twin, _ = trained(bench.folder / "models", wanted)
        plant(model, planting.surgery)
        answers += [took(fault, model, twin, few) for fault in planting.surgery]
        notes.append("surgery")
    if planting.loader:
        answers += [loader_took(fault, plain, batch) for fault in planting.loader]
        notes.append("loader")
    if planting.explainer:
        subject = wrap(model, model.spec)
        answers.append(explainer_took(planting.explainer, subject, few.select(slice(0, 4))))
        notes.append("explainer")
    if planting.recipe != Recipe():
        twin, _ = trained(bench.folder / "models", replace(wanted, recipe=Recipe()))
        if planting.recipe.law != "plain":
            twin = model
        told = Trained(planting.recipe, model, untrained(wanted), twin, plain, log)
        done, note = training_took(told)
        answers.append(done)
        notes.append(note)
    return all(answers), "; ".join(notes)


def _ready_foreign(bench: Bench, case: Case) -> _Ready:
    """A foreign model, trained and wrapped as a user would."""
    place = world(bench.store, case.spectrum, "plain")
    model = foreign(case.kind, case.seed)  # type: ignore[arg-type]
    rows = place.batch(place.train[:: max(1, len(place.train) // FOREIGN)])
    images, y = rows.inputs["images"].float().transpose(1, 2), torch.log1p(rows.target)
    fit(model, images, rows.inputs["solar_wind"], y, case.seed)
    model.eval()
    call = adapter({"sdo": ("images", "B T C H W"), "omni": ("solar_wind", "B S V")})
    subject = wrap(
        model, place.windows.spec, call=call, output=torch.expm1, name=case.name,
        example=rows.select(slice(0, 3)),
    )  # fmt: skip
    source = Handed(place.batch(place.span(case.span)), place)
    done, note = True, "built so"
    if not NATURAL[case.kind]:
        truth = _asked_of_all(partial(_foreign_forecasts, model), place)
        done, note = truth.healthy(("images", "solar_wind")), truth.text()
    return _Ready(subject, source, done, note, {})


def _foreign_forecasts(model: ForeignNet, batch: Batch) -> np.ndarray:
    found = []
    with torch.no_grad():
        for part in (batch.select(slice(i, i + 256)) for i in range(0, len(batch), 256)):
            images = part.inputs["images"].float().transpose(1, 2)
            found.append(model(images, part.inputs["solar_wind"]))
    return torch.cat(found).double().numpy()


def _record(case: Case, found: Diagnosis, ready: _Ready) -> CertifiedCase:
    asked = [f for f in found.findings if f.outcome != "not_applicable"]
    named = tuple(NamedFault(f.cause, f.subject, f.check) for f in faults(found.findings))
    unresolved = tuple(
        f"{f.check} {f.subject}: {f.reason}" for f in asked if f.outcome == "inconclusive"
    )
    lost = tuple(fault.subject for fault in lost_branches(found.findings))
    recipe = case.planting.recipe
    training = "" if recipe == Recipe() else f" {digest(dump(recipe))[:8]}"
    model = f"{case.architecture} {case.spectrum} {case.seed}{training}"
    return CertifiedCase(
        stratum=case.stratum, kind=case.kind, severity=case.severity,
        architecture=case.architecture, model=model, span=case.span, exact=case.exact,
        took=ready.took, note=ready.note, wanted=case.causes, symptoms=case.symptoms,
        named=named, lost=lost, questions=len(asked), unresolved=unresolved, rules=ready.rules,
    )  # fmt: skip
