"""T16: does the loss still pull on a branch, or is its gradient noise?"""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable
from heliosight.core.records import Finding, Interval
from heliosight.diagnosis.blocks import discoveries
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.evidence import Evidence

LEAST = 8
MICRO = 16


@final
class GradientAboveNoise(Check):
    """T16."""

    id: ClassVar[str] = "T16"
    question: ClassVar[str] = "Does the loss pull on the branch above the noise of its gradient?"
    needs: ClassVar[str] = "encoder.<modality>, a graph, targets, windows over many rotations"
    cost: ClassVar[str] = "1 G per window of sixteen in every block"
    rule: ClassVar[str] = (
        "mean inner product of gradients from different blocks of time, each weight tensor in its "
        "own root mean square, t test over blocks, false discovery rate 5 %. No pull is right for "
        "a model at its optimum, so its absence decides nothing by itself"
    )
    level: ClassVar[str] = "full"

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a branch."""
        roles = [r for r in evidence.roles("encoder.") if _weights(evidence, r)]
        if not roles:
            raise NotApplicable("this check needs encoders with weights", "none")
        found = {role: pull(evidence, role) for role in roles}
        hits = discoveries([p for _, p in found.values()], evidence.config.level_of_test)
        findings = []
        for (role, (share, _)), hit in zip(found.items(), hits, strict=True):
            reason = (
                "gradients of different times agree" if hit
                else "they agree no more than noise does: at an optimum, or starved"
            )  # fmt: skip
            value = Interval(share, how="blocks of time")
            outcome = "healthy" if hit else "inconclusive"
            statistic = "share of the gradient's energy that is common to all times"
            findings.append(self.finding(role, outcome, statistic, value, reason))  # type: ignore[arg-type]
        return findings


def _weights(evidence: Evidence, role: str) -> list[Tensor]:
    return [p for p in evidence.subject.parts[role].parameters() if p.requires_grad]


def pull(evidence: Evidence, role: str) -> tuple[float, float]:
    """Common share of the gradient energy of a branch, and its one-sided p.

    With unit-scaled block gradients g_k the statistic is the mean over k of <g_k, mean of the
    others>, over the mean of |g_k|^2; t over blocks.

    Raises
    ------
    NotApplicable : too few blocks of time, or no gradient at all.
    """
    g = _gradients(evidence, role)
    if len(g) < LEAST:
        raise NotApplicable(f"this check needs {LEAST} blocks of time", f"{len(g)}")
    energy = float((g**2).sum(1).mean())
    if energy == 0:
        raise NotApplicable("this check needs a gradient", f"none at {role}")
    others = (g.sum(0) - g) / (len(g) - 1)
    agree = (g * others).sum(1) / energy
    error = float(agree.std(ddof=1)) / np.sqrt(len(g))
    t = float(agree.mean()) / max(error, 1e-30)
    return float(agree.mean()), float(stats.t.sf(t, len(g) - 1))


def _gradients(evidence: Evidence, role: str) -> np.ndarray:
    """`(K, P)` gradients of the block losses, each weight tensor divided by its RMS over blocks."""
    weights, found = _weights(evidence, role), []
    for block in np.unique(evidence.rows):
        rows = np.flatnonzero(evidence.rows == block)
        rows = rows[np.linspace(0, len(rows) - 1, min(MICRO, len(rows))).round().astype(int)]
        loss = _loss(evidence, evidence.batch.select(torch.as_tensor(rows)))
        grads = torch.autograd.grad(loss, weights, allow_unused=True)
        pieces = zip(grads, weights, strict=True)
        found.append([(torch.zeros_like(w) if g is None else g).flatten() for g, w in pieces])
    columns = [torch.stack(list(column)).double() for column in zip(*found, strict=True)]
    scaled = [(x / x.pow(2).mean().sqrt().clamp(min=1e-30)).flatten(1) for x in columns]
    return torch.cat(scaled, 1).cpu().numpy()


def _loss(evidence: Evidence, batch: Batch) -> Tensor:
    score = evidence.subject.score(batch)
    mask = batch.target_mask.to(score.device)
    wanted = batch.target.to(score)
    if evidence.config.scale == "log":
        score, wanted = score.clamp(min=0).log1p(), wanted.clamp(min=0).log1p()
    return ((score - wanted) ** 2 * mask).sum() / mask.sum().clamp(min=1)
