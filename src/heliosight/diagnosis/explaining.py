"""T1: an explainer on networks with known answer, before anything is concluded from its maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, final

import numpy as np
import torch

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable, SubjectError
from heliosight.core.records import Finding, Interval, Outcome
from heliosight.core.seeding import numpy_stream
from heliosight.diagnosis.blocks import TooFew
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.explainers import Explainer
from heliosight.diagnosis.lamp import Lamp, lamp
from heliosight.subject import Subject, examine

LAMPS, NULLS, LEAST = 3, 19, 0.9


@final
class ExplainerWorks(Check):
    """T1."""

    id: ClassVar[str] = "T1"
    question: ClassVar[str] = "Does the explainer find what a known network uses?"
    needs: ClassVar[str] = "an explainer"
    cost: ClassVar[str] = "the explainer on 12 small windows"
    rule: ClassVar[str] = (
        "on each of 3 recurrent networks with planted channel, frames and place: mass on the place "
        "above all of 19 random maps of the same spectrum, positive there, time profile "
        "correlating 0.9 with the truth of inputs or of states, frames not all the same, most of "
        "it in the planted channel"
    )
    level: ClassVar[str] = "standard"
    alone: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding an explainer."""
        return each(self, evidence, self._one)

    def _one(self, evidence: Evidence, name: str) -> Finding:
        statistic = "lowest time correlation with the truth"
        score, problems = trial(evidence, name)
        value = Interval(score, how=f"{LAMPS} networks")
        if not problems:
            reason = "it finds the planted channel, frames and place, with their sign"
            return self.finding(name, "healthy", statistic, value, reason)
        action = "Capture every call of a recurrent cell and keep one scale for all frames."
        reason = "; ".join(problems)
        return self.finding(name, "fault", statistic, value, reason, "explainer", action)


def each(
    check: Check, evidence: Evidence, ask: Callable[[Evidence, str], Finding]
) -> list[Finding]:
    """One finding an explainer; one that fails or cannot be applied does not stop the others."""
    findings = []
    for name in asked(evidence):
        try:
            findings.append(ask(evidence, name))
        except NotApplicable as error:
            outcome: Outcome = "inconclusive" if isinstance(error, TooFew) else "not_applicable"
            findings.append(check.finding(name, outcome, "", None, str(error)))
        except Exception as error:  # noqa: BLE001 - a user's explainer may fail in any way
            reason = f"the check failed: {type(error).__name__}: {error}"
            findings.append(check.finding(name, "inconclusive", "", None, reason))
    return findings


def asked(evidence: Evidence) -> dict[str, Explainer]:
    """The explainers by name.

    Raises
    ------
    NotApplicable : none is given, or the subject sees no images.
    """
    if not evidence.explainers:
        raise NotApplicable(
            "this check needs an explainer", "none", "Pass diagnose(..., explainers={name: f})."
        )
    image_modality(evidence)
    return evidence.explainers


def image_modality(evidence: Evidence) -> str:
    """The first image modality.

    Raises
    ------
    NotApplicable : there is none.
    """
    for m in evidence.modalities:
        if evidence.subject.spec.modalities[m].kind == "images":
            return m
    raise NotApplicable("maps need an image modality", ", ".join(evidence.modalities) or "none")


def maps_of(explainer: Explainer, subject: Subject, batch: Batch, m: str) -> np.ndarray:
    """`(B, C, T, H, W)` or `(B, T, H, W)` float64 maps of images m.

    Raises
    ------
    SubjectError : another shape, or values that are not finite.
    """
    with torch.enable_grad():
        found = explainer(subject, batch).detach().double().cpu().numpy()
    wanted = tuple(batch.inputs[m].shape)
    shapes = (wanted, (wanted[0], *wanted[2:]))
    if found.shape not in shapes:
        raise SubjectError(
            "an explainer gives maps (B, C, T, H, W) or (B, T, H, W) of the images",
            f"{found.shape} for images {wanted}",
        )
    if not np.isfinite(found).all():
        raise SubjectError("an explainer gives finite maps", "values that are not finite")
    return found


def cleared(evidence: Evidence, name: str) -> str:
    """Why nothing may be concluded from an explainer's maps; empty when T1 clears it."""
    _, problems = trial(evidence, name)
    return f"the explainer failed T1: {'; '.join(problems)}" if problems else ""


def trial(evidence: Evidence, name: str) -> tuple[float, list[str]]:
    """Lowest time correlation over the lamps and what is wrong, once per explainer."""
    key = f"trial {name}"
    if key not in evidence.memo:
        scores, problems = [], []
        for seed in range(LAMPS):
            lit = lamp(seed)
            with examine(lit.subject):
                maps = maps_of(evidence.explainers[name], lit.subject, lit.batch, "images")
            score, found = judge(maps[:1], lit, seed)
            scores.append(score)
            problems += [f"network {seed}: {problem}" for problem in found]
        evidence.memo[key] = min(scores), problems
    found_before: tuple[float, list[str]] = evidence.memo[key]
    return found_before


def judge(maps: np.ndarray, lit: Lamp, seed: int) -> tuple[float, list[str]]:
    """Time correlation of the first window's maps `(1, [C,] T, H, W)`, and what is wrong."""
    flat = maps.sum(1) if maps.ndim == 5 else maps
    blob = np.broadcast_to(lit.blob, flat.shape)
    profile = (flat * blob).sum((0, 2, 3))
    score = max(_correlation(profile, truth) for truth in lit.profiles)
    problems = [] if score >= LEAST else [f"its time profile correlates {score:.2f} with the truth"]
    if all(np.array_equal(flat[:, 0], flat[:, t]) for t in range(1, flat.shape[1])):
        problems.append("the maps of all frames are identical")
    if profile.sum() <= 0:
        problems.append("what raises the forecast is not positive")
    seen = blob & (np.abs(lit.profiles[0]) > 0)[:, None, None]
    stream = numpy_stream(seed, "diagnosis", "trial")
    null = [_mass(phase_random(flat, stream), seen) for _ in range(NULLS)]
    if _mass(flat, seen) <= max(null):
        problems.append("its mass on the planted place is that of random maps")
    if maps.ndim == 5 and _share(np.abs(maps).sum((0, 2, 3, 4)), lit.channel) < 0.5:
        problems.append("less than half of it lies in the planted channel")
    return score, problems


def phase_random(maps: np.ndarray, stream: np.random.Generator) -> np.ndarray:
    """Maps `(B, T, H, W)` with the same power spectrum over T, H, W each and random phases."""
    axes = (-3, -2, -1)
    noise = np.fft.fftn(stream.standard_normal(maps.shape), axes=axes)
    phase = noise / np.maximum(np.abs(noise), 1e-300)
    return np.asarray(np.fft.ifftn(np.abs(np.fft.fftn(maps, axes=axes)) * phase, axes=axes).real)


def _mass(maps: np.ndarray, inside: np.ndarray) -> float:
    size = np.abs(maps)
    return float(size[inside].sum() / max(float(size.sum()), 1e-300))


def _share(sizes: np.ndarray, place: int) -> float:
    return float(sizes[place] / max(float(sizes.sum()), 1e-300))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / max(float(np.sqrt((a @ a) * (b @ b))), 1e-300))
