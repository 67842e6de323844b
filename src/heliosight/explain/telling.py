"""An answer as a record with its arrays, and as sentences; nothing is said without evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from torch import Tensor, float32

from heliosight.core.batch import Batch
from heliosight.core.clock import HOUR, to_text
from heliosight.core.records import Explanation, SelfCheck
from heliosight.core.spec import ModalitySpec
from heliosight.explain.attribution import Attribution, temporal_profile
from heliosight.explain.channels import WORDS as BY_CHANNEL
from heliosight.explain.importance import Profile
from heliosight.explain.question import Question
from heliosight.explain.structures import (
    RATES,
    Structure,
    flat_maps,
    rotation_slope,
    sentences,
    structures,
    summed,
)

Arrays = dict[str, np.ndarray]
DECISIVE = ("self-test", "size", "faithfulness", "completeness", "evidence")
STRUCTURE_CHANNEL = "aia_193"
KINDS = ("coronal hole", "active region")


@final
@dataclass(frozen=True)
class Made:
    """A method's answer with the question it was asked."""

    name: str
    question: Question
    found: Attribution

    @property
    def title(self) -> str:
        """Method and layer, as records name it."""
        return self.name + (f" ({self.question.part})" if self.question.part else "")


def record_of(
    one: Made, checks: list[SelfCheck], batch: Batch, by_channel: Tensor | None = None
) -> tuple[Explanation, Arrays]:
    """The record and its arrays; a decisive check that failed withholds what structures say."""
    found, question = one.found, one.question
    subject, target = question.evaluator.subject, question.evaluator.target
    arrays, lines = _arrays(one, batch)
    notes = found.notes
    if by_channel is not None:
        arrays["channel_maps"] = _numpy(by_channel)
        notes = (*notes, f"by channel: {BY_CHANNEL}")
    withheld = decisive(checks)
    told = (no_explanation(withheld), *notes) if withheld else (*notes, *lines)
    modality = subject.spec.modalities.get(question.modality)
    record = Explanation(
        method=one.title,
        target=target.name,
        units=target.units,
        baseline=found.baseline,
        issue_time=to_text(int(batch.issue_time[0])),
        forecast=found.value,
        channels=modality.variables if modality else (),
        frame_times=frame_times(batch, modality) if modality else (),
        checks=tuple(checks),
        withheld=withheld,
        notes=told,
    )
    return record, arrays


def decisive(checks: list[SelfCheck]) -> tuple[str, ...]:
    """Names of failed checks without which nothing is explained."""
    return tuple(c.name for c in checks if not c.passed and c.name.startswith(DECISIVE))


def no_explanation(failed: tuple[str, ...]) -> str:
    """The answer when a decisive check failed."""
    return f"no explanation: {', '.join(failed)} failed"


def _arrays(one: Made, batch: Batch) -> tuple[Arrays, list[str]]:
    """Arrays beside the record, and what the structures say."""
    found, modality = one.found, one.question.modality
    arrays = {name: _numpy(p) for name, p in found.parts.items() if p.ndim == 2}
    if modality not in found.parts:
        return arrays, []
    arrays["images"] = _numpy(found.parts[modality])
    arrays["frames"] = batch.inputs[modality][0].cpu().numpy()
    arrays["profile"] = _numpy(temporal_profile(found, modality))
    if "cell" in found.extra:
        arrays["cell_path"] = _numpy(found.extra["cell"])
    return arrays, _structure_lines(one, arrays)


def _structure_lines(one: Made, arrays: Arrays) -> list[str]:
    question = one.question
    spec = question.evaluator.subject.spec.modalities.get(question.modality)
    if spec is None or STRUCTURE_CHANNEL not in spec.variables:
        return []
    frames = arrays["frames"][spec.variables.index(STRUCTURE_CHANNEL)]
    config, target = question.config, question.evaluator.target
    found = structures(frames, spec.cadence_hours, config.holes, config.active_regions)
    sums = summed(arrays["images"], found)
    arrays |= _structure_arrays(found, sums, frames.shape)
    days = spec.cadence_hours / 24
    slope = rotation_slope(flat_maps(arrays["images"]), days)
    return [motion(slope), *sentences(sums, found, target.words, target.units, days)]


def motion(slope: float) -> str:
    """How the maps move, in words; a best rate at the end of those tried is none."""
    if not np.isfinite(slope):
        return "whether the maps move with the Sun cannot be told: too few frames have a map"
    if slope in (RATES[0], RATES[-1]):
        return "whether the maps move with the Sun cannot be told: no motion fits them best"
    return f"maps move at {slope:.2g} of the Sun's rotation (1 follows it, 0 stays in place)"


def _structure_arrays(
    found: list[Structure], sums: np.ndarray, shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Labels `(T, H, W)` from 1; per structure its kind `(n,)`, sums and places `(n, T)`."""
    labels = np.zeros(shape, dtype=np.int16)
    places = np.full((2, len(found), shape[0]), np.nan, dtype=np.float32)
    for number, structure in enumerate(found, 1):
        labels[structure.mask] = number
        places[:, number - 1, list(structure.frames)] = structure.latitude, structure.longitude
    return {
        "structures": labels,
        "structure_kind": np.array([KINDS.index(s.kind) for s in found], dtype=np.int16),
        "structure_sums": sums.astype(np.float32),
        "structure_latitude": places[0],
        "structure_longitude": places[1],
    }


def profile_records(
    profiles: tuple[Profile, ...], batch: Batch, question: Question
) -> list[tuple[Explanation, Arrays]]:
    """Temporal importance of each image modality as an explanation: a profile, no maps."""
    records = []
    for profile in profiles:
        name = profile.name.removesuffix(" steps")
        modality = question.evaluator.subject.spec.modalities.get(name)
        if name == profile.name or modality is None or modality.kind != "images":
            continue
        enough = evidence(profile)
        withheld = decisive([enough])
        notes = (f"root mean square change of the target, {profile.how}",)
        record = Explanation(
            method="temporal_importance",
            target=question.evaluator.target.name,
            units=profile.units,
            baseline="the same frame of another real window",
            issue_time=to_text(int(batch.issue_time[0])),
            frame_times=frame_times(batch, modality),
            forecast=float(question.evaluator.values(question.batch)),
            checks=(enough,),
            withheld=withheld,
            notes=(no_explanation(withheld), *notes) if withheld else notes,
        )
        response = profile.signed - profile.signed.mean()
        arrays = {"profile": profile.value, "response": response}
        if np.isfinite(profile.low).all():
            arrays |= {"profile_low": profile.low, "profile_high": profile.high}
        records.append((record, arrays))
    return records


def evidence(profile: Profile) -> SelfCheck:
    """Importance without an interval is no evidence."""
    rule = "windows of at least two 27-day blocks, so that there is an interval"
    return SelfCheck("evidence", bool(np.isfinite(profile.low).all()), None, rule, profile.how)


def frame_times(batch: Batch, modality: ModalitySpec) -> tuple[str, ...]:
    """Nominal times of a modality's steps: the newest at the issue time less its lag."""
    steps, cadence = modality.steps, modality.cadence_hours
    newest = int(batch.issue_time[0]) - modality.lag_hours * HOUR
    return tuple(to_text(newest - (steps - 1 - k) * cadence * HOUR) for k in range(steps))


def _numpy(x: Tensor) -> np.ndarray:
    return x.detach().to(float32).cpu().numpy()
