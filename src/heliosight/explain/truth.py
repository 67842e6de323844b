"""Scores of an attribution against a known truth, with the definitions named.

Sources: relevance mass and rank accuracy of Arras et al. 2022 (CLEVR-XAI, eq. 1-2) on absolute
relevance, so that evidence against counts; pointing game of Zhang et al. 2018; precision/recall
area as average precision of |relevance| against a binary truth, sum over thresholds of
(R_n - R_{n-1}) P_n (the definition of Crabbe & van der Schaar 2021 after min-max differs).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from heliosight.core.errors import SpecError
from heliosight.core.records import Explanation
from heliosight.core.seeding import numpy_stream
from heliosight.explain.nulls import PRIORS, phase_random, prior

NEIGHBOURS = (0.25, 0.5, 0.25)


def relevance_mass(relevance: np.ndarray, truth: np.ndarray) -> float:
    """Share of |relevance| inside the binary truth; 0 for a map of zeros."""
    weight = np.abs(relevance)
    total = weight.sum()
    return float(weight[truth].sum() / total) if total > 0 else 0.0


def rank_accuracy(relevance: np.ndarray, truth: np.ndarray) -> float:
    """Share of the K places of largest |relevance| inside the truth of K places."""
    count = int(truth.sum())
    if count == 0:
        return 0.0
    order = np.argsort(-np.abs(relevance).ravel(), kind="stable")[:count]
    return float(truth.ravel()[order].mean())


def pointing(relevance: np.ndarray, truth: np.ndarray) -> float:
    """1 if any place of largest |relevance| lies in the truth, else 0; a map of zeros gives 0."""
    weight = np.abs(relevance)
    return float(weight.max() > 0 and truth[weight == weight.max()].any())


def average_precision(relevance: np.ndarray, truth: np.ndarray) -> float:
    """Area under precision/recall of |relevance|, ties taken together."""
    weight, hit = np.abs(relevance).ravel(), truth.ravel()
    order = np.argsort(-weight, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(weight[order])), len(order) - 1)
    found = np.cumsum(hit[order])[ends]
    if hit.sum() == 0:
        return 0.0
    steps = np.diff(found / hit.sum(), prepend=0.0)
    return float((steps * found / (ends + 1)).sum())


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation of two profiles; 0 when one is constant."""
    a, b = np.ravel(first) - np.mean(first), np.ravel(second) - np.mean(second)
    size = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / size) if size > 0 else 0.0


def scores(relevance: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """All scores of images' relevance `(C, T, H, W)` or `(T, H, W)` against a signed truth.

    truth : `(C, T, H, W)` true contributions; places holding 95 % of |truth| are the binary truth.

    Raises
    ------
    SpecError : shapes disagree.
    """
    truth = truth.sum(0) if relevance.ndim == truth.ndim - 1 else truth
    if relevance.shape != truth.shape:
        raise SpecError(
            "relevance and truth share their axes", f"{relevance.shape} and {truth.shape}"
        )
    binary = support(truth)
    axes = (0, 2, 3) if relevance.ndim == 4 else (1, 2)
    found = {
        "mass": relevance_mass(relevance, binary),
        "rank": rank_accuracy(relevance, binary),
        "pointing": pointing(relevance, binary),
        "average_precision": average_precision(relevance, binary),
        "time_correlation": correlation(relevance.sum(axes), truth.sum(axes)),
        "space_correlation": correlation(
            np.abs(relevance).sum(tuple(range(relevance.ndim - 2))),
            np.abs(truth).sum(tuple(range(truth.ndim - 2))),
        ),
    }
    if relevance.ndim == 4:
        found["channel_correlation"] = correlation(relevance.sum((1, 2, 3)), truth.sum((1, 2, 3)))
    return found


DEFINITIONS = {
    "mass": "share of |relevance| on the fewest places and frames that hold 95 % of |truth| (Arras "
    "et al. 2022, eq. 1, on absolute relevance); mean over windows",
    "rank": "share of the K places of largest |relevance| among those K places (Arras et al. 2022, "
    "eq. 2); mean over windows",
    "pointing": "1 when the place of largest |relevance| is one of them (Zhang et al. 2018); mean",
    "average_precision": "area under precision/recall of |relevance| against them: sum over "
    "thresholds of (R_n - R_(n-1)) P_n, ties together; mean over windows",
    "time_correlation": "Pearson correlation of signed relevance per frame with the truth per "
    "frame, all windows' frames together",
    "time_correlation_each": "the same in each window alone; mean over windows",
    "time_correlation_near": "the same, windows together, with each window's two profiles averaged "
    "over neighbouring frames with weights 1-2-1: right to within a frame",
    "space_correlation": "Pearson correlation of |relevance| and |truth| per pixel, summed over "
    "frames and channels; mean over windows",
    "channel_correlation": "Pearson correlation of signed relevance and truth per channel, all "
    "windows' channels together; only for methods with channels",
}


def scores_over(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """`DEFINITIONS` of relevance and truth of several windows, see `scores`.

    Profiles are joined before they are correlated: a window in which nothing happens has no shape
    to agree on and would count as much as a storm.
    """
    each = [scores(relevance, truth) for relevance, truth in pairs]
    found = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
    found["time_correlation_each"] = found["time_correlation"]
    found["time_correlation"] = _joined(pairs, -3)
    found["time_correlation_near"] = _joined(pairs, -3, near=True)
    if "channel_correlation" in found:
        found["channel_correlation"] = _joined(pairs, -4)
    return found


def _joined(pairs: Sequence[tuple[np.ndarray, np.ndarray]], axis: int, near: bool = False) -> float:
    """Correlation of the profiles along one axis (counted from the end), windows end to end.

    near : average each profile over its neighbours first.
    """

    def profile(maps: np.ndarray) -> np.ndarray:
        others = tuple(k for k in range(maps.ndim) if k != maps.ndim + axis)
        found = maps.sum(others, dtype=np.float64)
        return np.convolve(found, NEIGHBOURS, "same") if near else found

    first, second = zip(*((profile(r), profile(t)) for r, t in pairs), strict=True)
    return correlation(np.concatenate(first), np.concatenate(second))


def score_table(
    explanations: Iterable[tuple[Explanation, Mapping[str, np.ndarray]]],
    truth: np.ndarray,
    seed: int = 0,
) -> dict[str, Mapping[str, float]]:
    """Scores by method, and of the maps that know nothing, for explanations that have maps.

    truth : `(C, T, H, W)` true contributions. The random maps share the spectrum of the first
        explanation with channels, else of the first.
    """
    mapped = [(r.method, a) for r, a in explanations if "images" in a and "frames" in a]
    table: dict[str, Mapping[str, float]] = {m: scores(a["images"], truth) for m, a in mapped}
    if mapped:
        full = [a for _, a in mapped if a["images"].ndim == 4] or [mapped[0][1]]
        images = full[0]["frames"].astype(float)
        table |= baseline_scores(images, truth, full[0]["images"], seed)
    return table


def support(truth: np.ndarray, share: float = 0.95) -> np.ndarray:
    """Fewest places that hold `share` of |truth|, bool."""
    weight = np.abs(truth).ravel()
    order = np.argsort(-weight, kind="stable")
    total = np.cumsum(weight[order])
    inside = np.zeros(weight.shape, dtype=bool)
    if total[-1] > 0:
        inside[order[: int(np.searchsorted(total, share * total[-1])) + 1]] = True
    return inside.reshape(truth.shape)


def baseline_scores(
    images: np.ndarray, truth: np.ndarray, relevance: np.ndarray, seed: int, draws: int = 19
) -> dict[str, Mapping[str, float]]:
    """Scores of maps that know nothing: random of the same spectrum (mean), and fixed priors.

    images : `(C, T, H, W)`, relevance : the map whose spectrum the random ones share.
    """
    stream = numpy_stream(seed, "explain", "truth")
    random = [scores(phase_random(relevance, stream), truth) for _ in range(draws)]
    found: dict[str, Mapping[str, float]] = {
        "random_smooth": {key: float(np.mean([r[key] for r in random])) for key in random[0]}
    }
    channels = len(images) if relevance.ndim == 4 else None
    for name in PRIORS:
        flat = prior(name, images)
        spread = flat if channels is None else np.broadcast_to(flat, (channels, *flat.shape))
        found[name] = scores(spread, truth)
    return found
