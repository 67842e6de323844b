"""Frozen evidence: what each stage leaves in its folder, saved whole with the manifest last."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np

from heliosight import __version__
from heliosight.core import config
from heliosight.core.errors import RecordError
from heliosight.core.files import (
    MANIFEST,
    folder_in_making,
    read_json,
    read_npz,
    sha256,
    verify,
    write_json,
    write_npz,
)

Outcome = Literal["fault", "healthy", "benign_unused", "inconclusive", "not_applicable"]
RECORD, ARRAYS = "record.json", "arrays.npz"


@dataclass(frozen=True)
class Interval:
    """A number with its interval; `level` is the coverage, `how` the method."""

    value: float
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    how: str = ""


@dataclass(frozen=True)
class Provenance:
    """How a record came to be."""

    command: str = ""
    seed: int = 0
    created: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    key: str = ""
    simulated: bool = False


@dataclass(frozen=True)
class Record:
    """Base of all records; `schema` and `version` are checked on load."""

    schema: ClassVar[str] = ""
    version: ClassVar[int] = 1
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True)
class VariableCoverage:
    """How much of one variable is there, and what was flagged."""

    name: str
    units: str
    missing: int
    out_of_range: int
    total: int
    mean: float | None
    std: float | None


@dataclass(frozen=True)
class TableCard:
    """One table of a store."""

    name: str
    kind: Literal["images", "series"]
    start: str
    end: str
    cadence_hours: float
    rows: int
    gaps: int
    latency_hours: float
    variables: tuple[VariableCoverage, ...]


@dataclass(frozen=True)
class Assumed:
    """When the values of one source of a table count as known.

    Attributes
    ----------
    latency_hours : from the end of an interval, or an exposure, to the value. why : its source.
    stands_for : the early source whose latency a definitive one takes over; empty for its own.
    published_hours : when the source itself publishes. definitive : nobody had it at that time.
    """

    table: str
    source: str
    latency_hours: float
    why: str
    stands_for: str = ""
    published_hours: float = 0.0
    definitive: bool = False


@dataclass(frozen=True)
class DatasetCard(Record):
    """What a store holds, where it came from, and what is wrong with it.

    assumed : when each source's values count as known; empty for a simulated Sun.
    cutoff_minutes : from a 3-hour mark to the making of its forecast; a latency within it is none.
    as_known : only what was retrieved by then is in it; empty for the newest of everything.
    """

    schema: ClassVar[str] = "dataset_card"
    name: str = ""
    tables: tuple[TableCard, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)
    licences: dict[str, str] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    store_hash: str = ""
    assumed: tuple[Assumed, ...] = ()
    cutoff_minutes: float = 0.0
    as_known: str = ""


@dataclass(frozen=True)
class SunStatistic:
    """One statistic of both Suns; None where a table is absent, `ok` None without a target."""

    statistic: str
    simulated: float | None = None
    real: float | None = None
    low: float | None = None
    high: float | None = None
    ok: bool | None = None


@dataclass(frozen=True)
class SunCheck(Record):
    """The simulated Sun held to reality, statistic by statistic."""

    schema: ClassVar[str] = "sun_check"
    statistics: tuple[SunStatistic, ...] = ()
    missed: int = 0


@dataclass(frozen=True)
class TrainedRun(Record):
    """A trained forecaster; weights lie beside it as safetensors."""

    schema: ClassVar[str] = "trained_run"
    name: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    parameters: int = 0
    epochs: int = 0
    best_epoch: int = 0
    validation_loss: float = 0.0
    split_hash: str = ""
    store_hash: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class SkillRow:
    """One system's scores on one slice (a day or a lead), pooled or within fold as named."""

    system: str
    slice: str
    metrics: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Scorecard(Record):
    """All systems on identical rows, and the paired differences to a reference."""

    schema: ClassVar[str] = "scorecard"
    rows: tuple[SkillRow, ...] = ()
    differences: tuple[SkillRow, ...] = ()
    reference: str = ""
    issue_times: int = 0
    first_issue: str = ""
    last_issue: str = ""
    folds: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One check's answer.

    Attributes
    ----------
    check : its identifier (`T3`), question : in words, subject : the branch or part asked about.
    rule : the decision rule, fixed beforehand.
    cause : short machine word for a fault (`order_blind`), empty otherwise.
    action : what to do about it, in one sentence.
    p : of a fault decided by statistics, how likely such evidence is without it; else None.
    """

    check: str
    question: str
    subject: str
    outcome: Outcome
    statistic: str
    value: Interval | None
    rule: str
    reason: str
    cause: str = ""
    action: str = ""
    seconds: float = 0.0
    p: float | None = None


@dataclass(frozen=True)
class Diagnosis(Record):
    """All findings on one subject.

    inputs : how it was called, argument -> modality and axes; empty for our own forecaster.
    parts : role -> path of the submodule that plays it.
    seconds : what each check took, and encoding all windows.
    """

    schema: ClassVar[str] = "diagnosis"
    subject: str = ""
    windows: int = 0
    level: str = "standard"
    findings: tuple[Finding, ...] = ()
    verdict: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SelfCheck:
    """An explanation's check of itself; a failed one is printed on the figure."""

    name: str
    passed: bool
    value: float | None
    rule: str
    reason: str = ""


@dataclass(frozen=True)
class Explanation(Record):
    """Signed attributions in the target's unit; the arrays lie beside it.

    Arrays: `images` `(C, T, H, W)` or `(T, H, W)` for maps without a channel axis, one array per
    series modality `(S, V)`, `frames` the explained images, and profiles with their intervals.

    `withheld` names the decisive checks that failed: then the answer is "no explanation".
    """

    schema: ClassVar[str] = "explanation"
    method: str = ""
    target: str = ""
    units: str = ""
    baseline: str = ""
    issue_time: str = ""
    forecast: float = 0.0
    channels: tuple[str, ...] = ()
    frame_times: tuple[str, ...] = ()
    checks: tuple[SelfCheck, ...] = ()
    notes: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()


R = TypeVar("R", bound=Record)


def provenance(
    command: str, seed: int, key: str, parents: Mapping[str, str], simulated: bool
) -> Provenance:
    """Provenance of a record made now."""
    names = ("torch", "numpy", "scipy", "heliosight")
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = __version__ if name == "heliosight" else "absent"
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Provenance(command, seed, created, versions, dict(parents), key, simulated)


def save(
    folder: Path,
    record: Record,
    arrays: Mapping[str, np.ndarray] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> str:
    """Write a record, its arrays and extra files as one sealed folder; returns its hash."""
    with folder_in_making(folder) as making:
        head = {"schema": record.schema, "version": record.version}
        write_json(making / RECORD, {**head, "record": config.dump(record)})
        if arrays:
            write_npz(making / ARRAYS, arrays)
        for name, data in (files or {}).items():
            (making / name).write_bytes(data)
    return record_hash(folder)


def load(
    folder: Path,
    cls: type[R],
    hashes: bool = True,
    only: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> R:
    """The record of a sealed folder; a wrong schema, version or hash raises `RecordError`.

    Without `hashes` only names and sizes are compared, for folders with gigabytes beside it.
    `only` takes from the plain record what is wanted of it, for many large ones.
    """
    verify(folder, hashes)
    try:
        content = read_json(folder / RECORD)
        schema, version, body = content["schema"], content["version"], content["record"]
    except (KeyError, TypeError) as error:
        raise RecordError("a record is readable JSON", repr(error), where=str(folder)) from error
    if (schema, version) != (cls.schema, cls.version):
        raise RecordError(
            f"this is a {cls.schema} record of version {cls.version}",
            f"{schema} {version}",
            "Run the stage again with this version.",
            str(folder),
        )
    return config.build(cls, only(body) if only else body, cls.schema)


def load_arrays(folder: Path) -> dict[str, np.ndarray]:
    """The arrays beside a record; empty when it has none."""
    path = folder / ARRAYS
    return read_npz(path) if path.is_file() else {}


def record_hash(folder: Path) -> str:
    """The hash of a sealed folder: that of its manifest."""
    return sha256(folder / MANIFEST)
