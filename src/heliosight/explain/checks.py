"""What an explanation says about itself: every check is printed with it, passed or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.records import SelfCheck
from heliosight.core.seeding import numpy_stream, torch_stream
from heliosight.explain.attribution import Attribution, temporal_profile
from heliosight.explain.baselines import disc_median
from heliosight.explain.evaluator import expand
from heliosight.explain.gradients import noisy_input
from heliosight.explain.nulls import PRIORS, phase_random, prior, rank_p
from heliosight.explain.question import Method, Question
from heliosight.explain.truth import correlation
from heliosight.subject import Subject

CELLS = 8  # deletion works on squares of the image, this many on a side
FRACTIONS = (0.1, 0.3)
SAME_MAP = 0.5
STABLE = 0.8
AGREE = 0.5
GAP = 0.05
LEAST_SHARE = 0.001


def completeness(found: Attribution) -> SelfCheck | None:
    """Parts sum to the difference; None for a method that claims no such thing."""
    gap = found.gap()
    if gap is None:
        return None
    gaps = list(found.gaps.items())
    falls = len(gaps) < 2 or gaps[-1][1] <= gaps[0][1] or gaps[-1][1] < GAP / 5
    text = ", ".join(f"{share:.3g} with {steps} steps" for steps, share in gaps)
    rule = (
        f"the parts miss the difference by at most {GAP:.0%}, and by no more with twice the steps"
    )
    return SelfCheck("completeness", gap <= GAP and falls, gap, rule, text)


def size(found: Attribution, modality: str) -> SelfCheck | None:
    """A map that is worth next to nothing must not look like one; None when it is worth something.

    Colours are scaled to the map itself, so a map of nothing is as vivid as any other.
    """
    worth = float(found.parts[modality].abs().sum())
    share = worth / max(abs(float(found.value)), 1e-30)
    if share >= LEAST_SHARE:
        return None
    rule = f"all parts together are worth at least {LEAST_SHARE:g} of the explained number"
    return SelfCheck("size", False, share, rule, "there is next to nothing to explain")


def randomisation(method: Method, found: Attribution, question: Question) -> SelfCheck | None:
    """The map must change when the weights lose what they learned (MPRT, full randomisation).

    Compared signed and only where one of the maps is not zero: places a method never fills are no
    likeness.

    Each weight tensor's entries are shuffled. The rise of the map's entropy after that is the
    efficient form of Hedstrom et al. 2024 (eMPRT). None for a subject without weights.
    """
    subject = question.evaluator.subject
    if not any(parameter.numel() > 1 for parameter in subject.module.parameters()):
        return None
    with shuffled_weights(subject, question.config.seed):
        other = method(question)
    mine, theirs = _flat(found, question.modality), _flat(other, question.modality)
    spoken = (mine != 0) | (theirs != 0)
    rule = f"rank correlation with the map of shuffled weights stays below {SAME_MAP}"
    if not spoken.any():
        return SelfCheck("weight randomisation", False, 1.0, rule, "both maps are zero everywhere")
    same = _spearman(mine[spoken], theirs[spoken])
    before, after = entropy(mine), entropy(theirs)
    rise = (after - before) / before if before > 0 else 0.0
    reason = f"correlation {same:.2f}, entropy changes by {rise:+.1%}"
    return SelfCheck("weight randomisation", same < SAME_MAP, same, rule, reason)


@contextmanager
def shuffled_weights(subject: Subject, seed: int) -> Iterator[None]:
    """Entries of every weight tensor in random order inside the block, put back after."""
    kept = [(p, p.detach().clone()) for p in subject.module.parameters()]
    draw = torch_stream(seed, "explain", "shuffled_weights")
    try:
        with torch.no_grad():
            for parameter, values in kept:
                order = torch.randperm(values.numel(), generator=draw).to(values.device)
                parameter.copy_(values.flatten()[order].reshape(values.shape))
        yield
    finally:
        with torch.no_grad():
            for parameter, values in kept:
                parameter.copy_(values)


def entropy(maps: np.ndarray, bins: int = 100) -> float:
    """Shannon entropy [nat] of the histogram of |map| (Hedstrom et al. 2024, complexity)."""
    weight = np.abs(maps).ravel()
    if weight.max() == 0:
        return 0.0
    counts, _ = np.histogram(weight / weight.max(), bins, (0, 1))
    return float(stats.entropy(counts / counts.sum()))


def stability(method: Method, found: Attribution, question: Question) -> SelfCheck:
    """A little noise (2 % of each channel's spread) must leave the map nearly as it is."""
    draw = torch_stream(question.config.seed, "explain", "stability")
    batch = question.batch
    noisy = {name: noisy_input(batch, name, 0.02, 1, draw) for name in batch.inputs}
    other = method(replace(question, batch=batch.with_inputs(noisy)))
    maps = [pooled(_flat(one, question.modality)) for one in (found, other)]
    value = correlation(*maps)
    rule = f"maps with and without 2 % noise correlate at least {STABLE}"
    return SelfCheck("stability", value >= STABLE, value, rule, f"correlation {value:.2f}")


def agreement(found: Attribution, others: list[Attribution], modality: str) -> SelfCheck | None:
    """Methods of a kind must tell one story of time; None with nothing to compare.

    Maps of states (Grad-CAM) and of inputs answer different questions and are compared apart.
    """
    kind = found.parts[modality].ndim
    same = [o for o in others if o.parts[modality].ndim == kind and o.method != found.method]
    if not same:
        return None
    mine = temporal_profile(found, modality).cpu().numpy()
    theirs = {
        o.method: correlation(mine, temporal_profile(o, modality).cpu().numpy()) for o in same
    }
    value = float(np.median(list(theirs.values())))
    rule = f"median correlation of time profiles with methods of the same kind at least {AGREE}"
    reason = ", ".join(f"{name} {r:.2f}" for name, r in theirs.items())
    return SelfCheck("agreement", value >= AGREE, value, rule, reason)


def faithfulness(found: Attribution, question: Question) -> SelfCheck:
    """Deletion and insertion against random maps of the same spectrum and against fixed priors.

    Squares of the images (or single values of a series) are replaced by the disc median (the
    window's median), the most raising first and then, apart, the most lowering; insertion starts
    from there. The score is the mean change of the target in the direction the map says; a prior
    has no sign and gets the better one.
    """
    modality = question.modality
    maps = pooled(_flat(found, modality))
    stream = numpy_stream(question.config.seed, "explain", "faithfulness", found.method)
    base = disc_median(question.batch)
    value = _deletion(maps, question, base, modality)
    null = [
        _deletion(phase_random(maps, stream), question, base, modality)
        for _ in range(question.config.nulls)
    ]
    fixed = {}
    for name, flat in fixed_maps(question.batch.inputs[modality][0].cpu().numpy()).items():
        fixed[name] = abs(_deletion(flat, question, base, modality))
    p = rank_p(value, np.array(null))
    beaten = [name for name, score in fixed.items() if value > score]
    rule = (
        "deletion and insertion: p <= 0.05 against random maps, and better than every fixed prior"
    )
    reason = f"p {p:.3f} of {len(null)} random maps; better than {', '.join(beaten) or 'no prior'}"
    passed = p <= 0.05 and len(beaten) == len(fixed)
    return SelfCheck("faithfulness", passed, p, rule, reason)


def fixed_maps(x: np.ndarray) -> dict[str, np.ndarray]:
    """Maps that ignore the model.

    Images `(C, T, H, W)` have the priors of `nulls`, pooled; a series `(S, V)` the newest first and
    the largest departure from its median first.
    """
    x = x.astype(float)
    if x.ndim == 4:
        return {name: pooled(prior(name, x)) for name in PRIORS}
    newest = np.broadcast_to(np.arange(len(x), dtype=float)[:, None], x.shape)
    spread = x.std(0)
    departure = np.abs(x - np.median(x, 0)) / np.where(spread > 0, spread, 1.0)
    return {"newest": newest, "departure": departure}


def _deletion(maps: np.ndarray, question: Question, base: Batch, modality: str) -> float:
    """Mean change in the direction the map says, over fractions, both signs, both starts.

    Raising and lowering places come in pairs of opposite sign, so the target at the window and at
    the replacement cancel and are not computed.
    """
    order = np.argsort(-maps.ravel(), kind="stable")
    masks, signs = [], []
    for fraction in FRACTIONS:
        count = max(1, round(fraction * len(order)))
        for places, sign in ((order[:count], 1.0), (order[-count:], -1.0)):
            mask = np.zeros(maps.size, dtype=bool)
            mask[places] = True
            masks.append(mask.reshape(maps.shape))
            signs.append(sign)
    x, flat = question.batch.inputs[modality], base.inputs[modality]
    wide = _enlarged_masks(np.stack(masks), x)
    deleted = torch.where(wide, flat, x)
    inserted = torch.where(wide, x, flat)
    many = expand(question.batch, 2 * len(masks)).with_inputs(
        {modality: torch.cat([deleted, inserted])}
    )
    after = question.evaluator.values(many).cpu().numpy().reshape(2, -1)
    return float(np.mean((after[1] - after[0]) * signs) / 2)


def _enlarged_masks(masks: np.ndarray, x: Tensor) -> Tensor:
    """Masks `(N, T, h, w)` as `(N, 1, T, H, W)` at the images' size; those of a series as is."""
    if x.ndim == 3:
        return torch.from_numpy(masks).to(x.device)
    size = x.shape[-1]
    place = np.arange(size) * masks.shape[-1] // size
    return torch.from_numpy(masks[:, :, place][:, :, :, place])[:, None].to(x.device)


def pooled(maps: np.ndarray, cells: int = CELLS) -> np.ndarray:
    """Maps `(T, H, W)` summed over at most `cells` x `cells` squares; a series' `(S, V)` as is."""
    if maps.ndim == 2:
        return maps
    size = maps.shape[-1]
    count = min(cells, size)
    edge = (np.arange(size)[:, None] * count // size == np.arange(count)).argmax(0)
    return np.add.reduceat(np.add.reduceat(maps, edge, axis=1), edge, axis=2)


def _flat(found: Attribution, modality: str) -> np.ndarray:
    """Maps of a modality summed over channels, `(T, H, W)`, or `(S, V)`; float64."""
    maps = found.parts[modality].detach().to(torch.float64).cpu().numpy()
    return maps.sum(0) if maps.ndim == 4 else maps


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    return correlation(stats.rankdata(first.ravel()), stats.rankdata(second.ravel()))
