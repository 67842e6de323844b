"""The publishing stage: a trained forecaster as a folder that others can load and judge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from heliosight.core import records
from heliosight.core.clock import to_text
from heliosight.core.errors import ConfigError
from heliosight.core.files import is_sealed
from heliosight.core.issued import Grade
from heliosight.core.records import Scorecard, TrainedRun
from heliosight.report.model_card import ModelFacts, model_card
from heliosight.workflows.inspect import card_text
from heliosight.workflows.published import PublishedConfig, write_published
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.standing import grade
from heliosight.workflows.study import Study, study_of
from heliosight.workflows.trained import (
    folder_of,
    forecaster,
    main_system,
    system_hash,
    thresholds,
)


def run(run: Run, verb: str = "") -> StageResult:
    """Write weights, config, model card and dataset card of the first system's fold."""
    del verb
    if run.config.faults:
        raise ConfigError(
            "a published model has no planted fault",
            ", ".join(f.kind for f in run.config.faults),
            where="faults",
        )
    study, system = study_of(run), main_system(run)
    number = study.fold_number(run.config.publish.fold, "publish.fold")
    model = forecaster(study, system, number)
    record = records.load(folder_of(study, system, number), TrainedRun)
    config = _config(study, system, number)
    facts = ModelFacts(
        name=run.config.name,
        licence=run.config.publish.licence,
        contact=run.config.publish.contact,
        spec=config.spec,
        trained=record,
        trained_until=config.trained_until,
        data=study.store.card,
        scores=_scores(study, system),
        grade=_grade(study, system, number),
    )
    folder = Path(run.config.publish.folder or run.folder / "published")
    write_published(folder, model, config, model_card(facts), card_text(study.store.card))
    return StageResult(record, (f"published: {folder}",))


def _config(study: Study, system: str, number: int) -> PublishedConfig:
    config, fold = study.run.config, study.folds[number]
    chosen = {k: v for k, v in config.model.encoders.items() if k in config.systems[system]}
    return PublishedConfig(
        spec=config.spec(system),
        model=replace(config.model, encoders=chosen),
        name=config.name,
        system=system,
        trained_until=to_text(fold.validation[1]),
        warn_from=tuple(map(tuple, thresholds(study, system)[number].tolist())),
    )


def _grade(study: Study, system: str, number: int) -> Grade:
    """Of the diagnosis of this fold; another fold's weights have not been looked at."""
    diagnosed = study.fold_number(study.run.config.diagnose.fold, "diagnose.fold")
    return grade(study, system) if diagnosed == number else Grade()


def _scores(study: Study, system: str) -> Scorecard | None:
    """The scorecard of these very weights; None without one."""
    folder = study.run.folder / "evaluate"
    if not is_sealed(folder):
        return None
    card = records.load(folder, Scorecard)
    now = {"data": study.store.hash, system: system_hash(study, system)}
    same = all(card.provenance.parents.get(name) == value for name, value in now.items())
    return card if same else None
