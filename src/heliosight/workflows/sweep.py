"""A sweep: where each of its jobs lies, and all their scores in one table with intervals."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from heliosight.core import records
from heliosight.core.errors import RecordError
from heliosight.core.files import digest, is_sealed, read_json, write_json, write_text
from heliosight.core.progress import track
from heliosight.core.records import Interval, Scorecard, TrainedRun
from heliosight.evaluation.scorecard import find
from heliosight.evaluation.table import DAYS, grid, number_with_interval
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.trained import main_system

TABLE, CSV, JOB = "sweep.md", "sweep.csv", "job.json"
METRIC = "corr_log_pooled"
LONGEST = 200  # of a folder's name; file systems end at 255 bytes
NOTES = (
    "Sorted by validation loss, which saw no test window. Do not choose by the test columns: the "
    "best of many runs looks better than it is.",
    "correlation of log ap, pooled, with intervals over 27-day blocks; ~ not resolved.",
)


def job_folder(sweep: Path, overrides: str) -> Path:
    """A job's folder, named by its overrides as Hydra joins them: `seed=1,training.epochs=2`.

    What no folder can be called is replaced and what is too long is cut, with a digest behind, so
    that no two jobs meet; `job.json` in the folder says all of it.
    """
    told = re.sub(r"(^|,)\+\+", r"\1", overrides)
    name = "".join(c if c.isprintable() and c != "/" else "_" for c in told)
    if name != told or len(name.encode()) > LONGEST:
        name = f"{name.encode()[: LONGEST - 13].decode(errors='ignore')}-{digest(told)[:12]}"
    write_json(sweep / name / JOB, {"overrides": told})
    return sweep / name


def is_job(folder: Path) -> bool:
    """Whether a run directory is a job's of a sweep."""
    return (folder / JOB).is_file()


@final
@dataclass(frozen=True)
class Job:
    """A scored job of a sweep.

    Attributes
    ----------
    loss : validation loss of the system, mean over folds; None where it was not trained.
    scores, gains : correlation by day, and the same less the reference's, paired.
    """

    overrides: dict[str, str]
    reference: str
    loss: float | None
    scores: tuple[Interval | None, ...]
    gains: tuple[Interval | None, ...]


def swept(run: Run) -> StageResult:
    """One table of all jobs in a sweep's folder; jobs without a score are named and a fault.

    Raises
    ------
    RecordError : there is no scored job at all, one cannot be read, or references differ.
    """
    folders = sorted(p.parent for p in run.folder.glob(f"*/{JOB}"))
    scored = [p for p in folders if is_sealed(p / "evaluate")]
    if not scored:
        raise RecordError(
            "a sweep has scored jobs", f"{len(folders)} jobs, none scored",
            "Run heliosight train --score -m with the same config first.", str(run.folder),
        )  # fmt: skip
    jobs = [_job(p, main_system(run)) for p in track(scored, "scores", len(scored))]
    references = sorted({job.reference for job in jobs})
    if len(references) > 1:
        raise RecordError(
            "jobs of one table are compared with one reference", ", ".join(references),
            "Score them again with one evaluate.scoring.reference.", str(run.folder),
        )  # fmt: skip
    jobs.sort(key=lambda job: (job.loss is None, job.loss or 0.0))
    columns = varied(jobs)
    text = table_text(jobs, columns)
    write_text(run.folder / TABLE, text)
    write_text(run.folder / CSV, table_csv(jobs, columns))
    missing = [p.name for p in folders if p not in scored]
    told = [f"not scored: {name}" for name in missing]
    counts = f"{len(jobs)} of {len(folders)} jobs scored: {run.folder / TABLE}, {CSV} beside it"
    return StageResult(None, (text, *told, counts), bool(missing))


def _job(folder: Path, system: str) -> Job:
    def only(plain: dict[str, Any]) -> dict[str, Any]:
        """Days of the system alone: all rows of a few hundred cards would fill the memory."""
        wanted = {"rows": (system,), "differences": (f"{system} - {plain['reference']}",)}
        kept = {
            key: [r for r in plain[key] if r["system"] in names and r["slice"] in DAYS]
            for key, names in wanted.items()
        }
        return {**plain, **kept}

    card = records.load(folder / "evaluate", Scorecard, only=only)
    trained = sorted(p for p in (folder / "train" / system).glob("*") if is_sealed(p))
    losses = [records.load(p, TrainedRun).validation_loss for p in trained]
    pair = f"{system} - {card.reference}"
    return Job(
        overrides_of(_told(folder)),
        card.reference,
        float(np.mean(losses)) if losses else None,
        tuple(find(card.rows, system, day, METRIC) for day in DAYS),
        tuple(find(card.differences, pair, day, METRIC) for day in DAYS),
    )


def _told(folder: Path) -> str:
    """The overrides of a job as its folder tells them."""
    plain = read_json(folder / JOB)
    if not isinstance(plain, dict) or not isinstance(plain.get("overrides"), str):
        raise RecordError(
            "a job's folder tells its overrides", repr(plain)[:60], "Run the job again.",
            str(folder / JOB),
        )  # fmt: skip
    return str(plain["overrides"])


def overrides_of(told: str) -> dict[str, str]:
    """Keys and values; a comma inside a value parts nothing."""
    parts = re.split(r",(?=[A-Za-z_][\w.]*=)", told)
    return dict(part.split("=", 1) for part in parts if "=" in part)


def varied(jobs: Sequence[Job]) -> list[str]:
    """Keys whose value is not the same in all jobs; all of them for a single job."""
    keys = dict.fromkeys(key for job in jobs for key in job.overrides)
    found = [k for k in keys if len({job.overrides.get(k) for job in jobs}) > 1]
    return found or list(keys)


def table_text(jobs: Sequence[Job], columns: Sequence[str]) -> str:
    """Markdown: overrides, validation loss, correlation of each day, gain over the reference."""
    gains = [f"- {jobs[0].reference}, {day}" for day in DAYS]
    header = [*columns, "validation loss", *DAYS, *gains]
    body = [
        [
            *(job.overrides.get(key, "") for key in columns),
            "-" if job.loss is None else f"{job.loss:.4f}",
            *(number_with_interval(score) for score in job.scores),
            *(number_with_interval(gain, difference=True) for gain in job.gains),
        ]
        for job in jobs
    ]
    return "\n\n".join([grid(header, body), "\n".join(f"- {note}" for note in NOTES)]) + "\n"


def table_csv(jobs: Sequence[Job], columns: Sequence[str]) -> str:
    """The same as CSV, a number a cell, intervals as columns of their own."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    kinds = ("correlation", "gain")
    scores = [f"{kind}_{day.replace(' ', '_')}" for kind in kinds for day in DAYS]
    ends = [f"{name}{end}" for name in scores for end in ("", "_low", "_high")]
    writer.writerow([*columns, "validation_loss", *ends])
    for job in jobs:
        numbers = [x for value in (*job.scores, *job.gains) for x in _ends(value)]
        writer.writerow([*(job.overrides.get(k, "") for k in columns), job.loss, *numbers])
    return stream.getvalue()


def _ends(value: Interval | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if value is None else (value.value, value.low, value.high)
