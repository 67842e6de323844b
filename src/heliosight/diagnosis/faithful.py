"""T23, T24: maps that depend on what was learned, and that point at what moves the forecast."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, final

import numpy as np
import torch
from scipy import stats

from heliosight.core.errors import NotApplicable
from heliosight.core.records import Finding
from heliosight.core.seeding import numpy_stream, torch_stream
from heliosight.diagnosis.blocks import Estimate, jackknife
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.explaining import cleared, each, image_modality, maps_of, phase_random
from heliosight.diagnosis.rotation import RADIUS_SHARE, blocks_of, explained
from heliosight.subject import Subject

SAME, DRAWS = 0.5, 2
NULLS, CELLS, TOP = 9, 8, 0.2
LEAST_EXCESS = 0.05  # share of the images' whole effect that the map's places must add to chance


@final
class NeedsWeights(Check):
    """T23."""

    id: ClassVar[str] = "T23"
    question: ClassVar[str] = "Do the explainer's maps depend on what the model learned?"
    needs: ClassVar[str] = "an explainer that passed T1, a subject with weights"
    cost: ClassVar[str] = "the explainer on 24 windows, twice"
    rule: ClassVar[str] = (
        "rank correlation of the maps with those of the same model with every weight tensor "
        "shuffled over its outputs, one draw for every second window and another for the rest "
        "(jackknife over blocks): above one half is a fault"
    )
    level: ClassVar[str] = "standard"
    by_chance: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding an explainer."""
        return each(self, evidence, self._one)

    def _one(self, evidence: Evidence, name: str) -> Finding:
        statistic = "rank correlation with maps of shuffled weights"
        refused = cleared(evidence, name)
        if refused:
            return self.finding(name, "inconclusive", statistic, None, refused)
        same, rise = likeness(evidence, name)
        value, size = same.interval(), evidence.config.level_of_test
        reason = f"entropy of the maps changes by {rise:+.1%}"
        if same.p_below(SAME) < size:
            reason = f"they change with the weights; {reason}"
            return self.finding(name, "healthy", statistic, value, reason)
        if same.p_above(SAME) < size:
            reason = f"nearly the same maps without what was learned; {reason}"
            action = "Use another method: these maps show the input, not the model."
            cause, p = "ignores_weights", same.p_above(SAME)
            return self.finding(name, "fault", statistic, value, reason, cause, action, p)
        return self.finding(name, "inconclusive", statistic, value, f"not resolved; {reason}")


def likeness(evidence: Evidence, name: str) -> tuple[Estimate, float]:
    """Rank correlation of the maps with those of shuffled weights; relative rise of entropy.

    Model parameter randomisation of Adebayo et al. 2018 (arXiv:1810.03292) over all layers at
    once; the rise is the efficient form of Hedstroem et al. 2024 (arXiv:2401.06465).

    Raises
    ------
    NotApplicable : the subject has no weights to shuffle.
    """
    weights = [p for p in evidence.subject.module.parameters() if p.numel() > 1]
    if not weights:
        raise NotApplicable("this check needs a subject with weights", "none")
    maps, rows = explained(evidence, name)
    others = np.empty_like(maps)
    for draw in range(DRAWS):
        with shuffled(evidence.subject, evidence.config.seed, draw):
            others[draw::DRAWS] = _maps(evidence, name, rows[draw::DRAWS])
    values = np.array([rank_correlation(a, b) for a, b in zip(maps, others, strict=True)])
    before, after = entropy(maps), entropy(others)
    terms = np.stack([values, np.ones_like(values)], 1)
    return _mean(evidence, terms, rows), (after - before) / max(before, 1e-30)


def _maps(evidence: Evidence, name: str, rows: np.ndarray) -> np.ndarray:
    m, size, parts = image_modality(evidence), evidence.config.chunk, []
    for start in range(0, len(rows), size):
        batch = evidence.batch.select(torch.as_tensor(rows[start : start + size]))
        parts.append(maps_of(evidence.explainers[name], evidence.subject, batch, m))
    return np.concatenate(parts)


def _mean(evidence: Evidence, terms: np.ndarray, rows: np.ndarray) -> Estimate:
    days, blocks = evidence.config.block_days, blocks_of(evidence, rows)
    return jackknife(terms, blocks, lambda s: s[..., 0] / s[..., 1], days)


@contextmanager
def shuffled(subject: Subject, seed: int, draw: int) -> Iterator[None]:
    """Weights of every input entry in random order over the outputs, put back after the block.

    Over the outputs alone: each input entry keeps its size, so a rescaled branch stays one.
    """
    kept = [(p, p.detach().clone()) for p in subject.module.parameters()]
    stream = torch_stream(seed, "diagnosis", "shuffled_weights", draw)
    try:
        with torch.no_grad():
            for p, values in kept:
                order = torch.rand(values.shape, generator=stream).argsort(0).to(values.device)
                p.copy_(values.gather(0, order) if values.ndim else values)
        yield
    finally:
        with torch.no_grad():
            for p, values in kept:
                p.copy_(values)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation where either map is not zero; 0 where one is constant."""
    spoken = ((a != 0) | (b != 0)).ravel()
    x, y = a.ravel()[spoken], b.ravel()[spoken]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(stats.spearmanr(x, y).statistic)


def entropy(maps: np.ndarray, bins: int = 100) -> float:
    """Shannon entropy [nat] of the histogram of |map| in shares of its maximum."""
    size = np.abs(maps).ravel()
    if size.max() == 0:
        return 0.0
    counts = np.histogram(size / size.max(), bins, (0, 1))[0]
    return float(stats.entropy(counts / counts.sum()))


@final
class Faithful(Check):
    """T24."""

    id: ClassVar[str] = "T24"
    question: ClassVar[str] = "Do the maps point at what moves the forecast, beyond chance?"
    needs: ClassVar[str] = "an explainer that passed T1, a forecast that moves with the images"
    cost: ClassVar[str] = "14 F for each of 24 windows beside the maps"
    rule: ClassVar[str] = (
        "the fifth of frames and squares with the largest |map| is taken from another time: share "
        "of the images' whole effect that this moves, less that of random maps of the same "
        "spectrum, and less that of the best of centre, limb and brightness; faithful when both "
        "are above zero, a fault when the first is below 5 % (equivalence test)"
    )
    level: ClassVar[str] = "standard"
    by_chance: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding an explainer."""
        return each(self, evidence, self._one)

    def _one(self, evidence: Evidence, name: str) -> Finding:
        statistic = "share of the images' effect beyond that of random maps"
        refused = cleared(evidence, name)
        if refused:
            return self.finding(name, "inconclusive", statistic, None, refused)
        chance, prior, best = excess(evidence, name)
        value, size = chance.interval(), evidence.config.level_of_test
        i = prior.interval()
        reason = f"beyond the map of {best}: {i.value:.3g} [{i.low:.3g}, {i.high:.3g}]"
        if chance.p_above(0.0) < size and prior.p_above(0.0) < size:
            reason = f"its places move the forecast more than chance; {reason}"
            return self.finding(name, "healthy", statistic, value, reason)
        if chance.p_below(LEAST_EXCESS) < size:
            reason = f"its places move the forecast no more than chance; {reason}"
            action = 'Report "no explanation" for this method.'
            cause, p = "unfaithful_map", chance.p_below(LEAST_EXCESS)
            return self.finding(name, "fault", statistic, value, reason, cause, action, p)
        return self.finding(name, "inconclusive", statistic, value, f"not resolved; {reason}")


def excess(evidence: Evidence, name: str) -> tuple[Estimate, Estimate, str]:
    """Effect of the map's places beyond chance and beyond the best fixed map, and its name.

    In shares of the effect of taking all images from another time (squared change of the forecast,
    mean over leads).

    Raises
    ------
    NotApplicable : that effect is below the smallest use.
    """
    maps, rows = explained(evidence, name)
    m, donors = image_modality(evidence), donors_of(evidence, rows)
    flat = squares(np.abs(maps).sum(1) if maps.ndim == 5 else np.abs(maps))
    whole = moved(evidence, m, rows, donors, np.ones(flat.shape, bool))
    if whole.mean() / 2 < evidence.config.smallest_use * evidence.variance:
        raise NotApplicable("this check needs a forecast that moves with the images", "it does not")
    mine = moved(evidence, m, rows, donors, top(flat))
    stream = numpy_stream(evidence.config.seed, "diagnosis", "faithful", name)
    null = [moved(evidence, m, rows, donors, top(phase_random(flat, stream))) for _ in range(NULLS)]
    fixed = {
        key: moved(evidence, m, rows, donors, top(each))
        for key, each in fixed_maps(evidence, m, rows, flat.shape).items()
    }
    best = max(fixed, key=lambda key: float(fixed[key].mean()))
    chance = np.stack([mine - np.mean(null, 0), whole], 1)
    prior = np.stack([mine - fixed[best], whole], 1)
    return _mean(evidence, chance, rows), _mean(evidence, prior, rows), best


def donors_of(evidence: Evidence, rows: np.ndarray) -> np.ndarray:
    """`(n,)` for each window another one, away from it and from multiples of the rotation."""
    index = np.stack([index[rows] for index, _ in evidence.shifts])
    usable = np.stack([usable[rows] for _, usable in evidence.shifts])
    return np.asarray(index[usable.argmax(0), np.arange(len(rows))])


def squares(maps: np.ndarray) -> np.ndarray:
    """`(n, T, k, k)` means of maps `(n, T, H, W)` over squares, k at most 8."""
    pooled = torch.nn.functional.adaptive_avg_pool2d(
        torch.as_tensor(maps), min(CELLS, maps.shape[-1])
    )
    return pooled.numpy()


def top(maps: np.ndarray) -> np.ndarray:
    """True at the fifth of places with the largest values of each window's map."""
    flat = maps.reshape(len(maps), -1)
    count = max(1, round(TOP * flat.shape[1]))
    order = np.argsort(-flat, axis=1, kind="stable")[:, :count]
    found = np.zeros(flat.shape, dtype=bool)
    np.put_along_axis(found, order, True, 1)
    return found.reshape(maps.shape)


def moved(
    evidence: Evidence, m: str, rows: np.ndarray, donors: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    """`(n,)` squared change of the forecast when chosen squares come from the donor windows.

    chosen : `(n, T, k, k)` bool.
    """
    size, parts = evidence.config.chunk, []
    for start in range(0, len(rows), size):
        own, other = rows[start : start + size], donors[start : start + size]
        x = evidence.batch.inputs[m][torch.as_tensor(own)]
        mask = torch.as_tensor(chosen[start : start + size]).float()
        mask = torch.nn.functional.interpolate(mask, x.shape[-2:], mode="nearest").bool()[:, None]
        mixed = torch.where(mask.to(x.device), evidence.batch.inputs[m][torch.as_tensor(other)], x)
        y = evidence.beside(m, own, mixed)
        parts.append(((y - evidence.forecast[own]) ** 2).mean(1))
    return np.concatenate(parts)


def fixed_maps(
    evidence: Evidence, m: str, rows: np.ndarray, shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Maps `(n, T, k, k)` that know nothing of the model: centre, limb, brightness."""
    k = shape[-1]
    place = (np.arange(k) - (k - 1) / 2) / (RADIUS_SHARE * k)
    radius = np.hypot(place[:, None], place[None, :])
    x = evidence.batch.inputs[m][torch.as_tensor(rows)].double().cpu().numpy()
    spread = x.std((0, 2, 3, 4), keepdims=True)
    bright = squares((x / np.where(spread > 0, spread, 1.0)).mean(1))
    centre = np.broadcast_to(-radius, shape)
    limb = np.broadcast_to(-np.abs(radius - 1), shape)
    return {"centre": centre, "limb": limb, "brightness": bright}
