"""Scores of many models summed up: means with intervals over worlds and seeds, and claims."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heliosight.core.records import Interval, SkillRow
from heliosight.core.records_explain import Claim, ScoredModel
from heliosight.core.seeding import numpy_stream
from heliosight.explain.scoring import best_prior

ALL, STRONG = "all models", "strong models"
DRAWS = 2000
HOW = "bootstrap of worlds, then of seeds within each, 95 %"
LEAST_TIME, LEAST_MASS = 0.8, 3.0
RATIO = "mass over the best prior's"


def summary_rows(
    models: Sequence[ScoredModel], strong: float, seed: int = 0
) -> tuple[SkillRow, ...]:
    """Methods by slice: all models, those strong in skill, and each world."""
    slices = {ALL: list(models), STRONG: [m for m in models if m.reached >= strong]}
    slices |= {
        w: [m for m in models if m.world == w] for w in dict.fromkeys(m.world for m in models)
    }
    rows = []
    for name, chosen in slices.items():
        methods = dict.fromkeys(method for model in chosen for method in model.scores)
        for method in methods:
            held = [(m.world, with_ratio(m, method)) for m in chosen if method in m.scores]
            keys = dict.fromkeys(key for _, scores in held for key in scores)
            metrics = {
                key: interval([(world, s[key]) for world, s in held if key in s], seed)
                for key in keys
            }
            rows.append(SkillRow(method, name, metrics))
    return tuple(rows)


def with_ratio(model: ScoredModel, method: str) -> dict[str, float]:
    """A method's scores, and its mass over that of the best map that knows nothing."""
    prior = best_prior(model.scores, "mass")
    own = dict(model.scores[method])
    return {**own, RATIO: own["mass"] / prior} if prior > 0 else own


def interval(values: Sequence[tuple[str, float]], seed: int) -> Interval:
    """Mean over worlds of the mean over seeds, from `(world, value)`.

    One value has no interval. Worlds are drawn with replacement, then the seeds within each; with
    few worlds this is wide, as it should be.
    """
    worlds: dict[str, list[float]] = {}
    for world, value in values:
        worlds.setdefault(world, []).append(value)
    groups = [np.array(v) for v in worlds.values()]
    middle = float(np.mean([g.mean() for g in groups]))
    if len(values) < 2:
        return Interval(middle, how="one model: no interval")
    stream = numpy_stream(seed, "explain", "summary")
    shape = (DRAWS, len(groups))
    means = np.stack([g[stream.integers(len(g), size=(*shape, len(g)))].mean(-1) for g in groups])
    picked = stream.integers(len(groups), size=shape)
    draws = np.take_along_axis(means, picked[None], 0)[0].mean(1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(middle, float(low), float(high), how=HOW)


def claims(
    rows: Sequence[SkillRow], models: Sequence[ScoredModel], strong: float, method: str
) -> tuple[Claim, ...]:
    """What was asked beforehand of `method`, which was chosen on other worlds, on strong models."""
    reached = [m for m in models if m.reached >= strong]
    worlds = sorted({m.world for m in reached})
    bound = models[0].bound if models else "ceiling"
    told = f"{len(reached)} of {len(models)} models reached it, by the oracle's {bound}"
    told += f", in the worlds {', '.join(worlds)}" if worlds else ""
    found = [Claim(f"models reach {strong:.0%} of the achievable skill", float(len(reached)),
                   bool(reached), told)]  # fmt: skip
    row = next((r for r in rows if r.slice == STRONG and r.system == method), None)
    for score, least in (("time_correlation", LEAST_TIME), (RATIO, LEAST_MASS)):
        rule = f"{score} of {method} on strong models is at least {least:g}"
        value = row.metrics.get(score) if row else None
        if value is None:
            found.append(Claim(rule, None, None, "no strong model"))
            continue
        span = "no interval"
        if value.low is not None and value.high is not None:
            span = f"[{value.low:.2f}, {value.high:.2f}]"
        found.append(Claim(rule, value.value, value.value >= least, span))
    return tuple(found)
