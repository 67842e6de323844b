"""The instrument on a network with known answer: no verdict about a model before it passes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch

from heliosight.core.errors import NotApplicable
from heliosight.core.records import SelfCheck
from heliosight.core.seeding import numpy_stream
from heliosight.explain.attribution import Attribution, temporal_profile
from heliosight.explain.baselines import disc_median
from heliosight.explain.evaluator import Evaluator
from heliosight.explain.nulls import phase_random, rank_p
from heliosight.explain.question import ExplainConfig, Method, Question
from heliosight.explain.reference import CELL, Lamp, lamp
from heliosight.explain.targets import target_named
from heliosight.explain.truth import correlation, relevance_mass

LAMPS, NULLS, LEAST = 3, 19, 0.95
RULE = (
    f"on each of {LAMPS} networks with planted answer: time profile correlates at least {LEAST} "
    "with the truth, frames' maps differ, mass on the planted structure beats every one of "
    f"{NULLS} random maps of the same spectrum, at least {LEAST:.0%} lies in the planted channel "
    "and variable, and a method that claims to sum to the difference does so to 1 %"
)


def self_test(method: Method, name: str, config: ExplainConfig | None = None) -> SelfCheck:
    """Whether a method finds a planted time, channel, place and variable, with sign and size."""
    config = config or ExplainConfig()
    small = replace(
        config, baseline="disc_median", fill="disc_median", patch=4, patch_frames=1,
        series_steps=1, steps=4, samples=4, noise=0.01, target="mean_ap",
    )  # fmt: skip
    faults: list[str] = []
    worst = 1.0
    for seed in range(LAMPS):
        lit = lamp(seed)
        try:
            found = method(question_of(lit, small))
        except NotApplicable as error:
            return SelfCheck(f"self-test {name}", False, None, RULE, str(error))
        score, problems = _judge(found, lit, seed)
        worst = min(worst, score)
        faults += [f"network {seed}: {problem}" for problem in problems]
    return SelfCheck(f"self-test {name}", not faults, worst, RULE, "; ".join(faults))


def question_of(lit: Lamp, config: ExplainConfig) -> Question:
    """The lamp's window as a question."""
    target = target_named(config.target, lit.subject.spec)
    evaluator = Evaluator(lit.subject, target, config.chunk)
    return Question(evaluator, lit.batch, lit.context, config, CELL, "images")


def _judge(found: Attribution, lit: Lamp, seed: int) -> tuple[float, list[str]]:
    """Correlation of the time profile with the truth, and what is wrong."""
    maps = found.parts["images"].detach().to(torch.float64).numpy()
    truth, profile = _truth(found, lit)
    score = correlation(temporal_profile(found, "images").numpy(), profile)
    problems = [] if score >= LEAST else [f"time profile correlates {score:.2f} with the truth"]
    if not _frames_differ(maps, profile):
        problems.append("the maps of all frames are the same")
    if not _beats_random(maps, truth, seed):
        problems.append("mass on the planted structure is within that of random maps")
    return score, problems + _shares(found, lit) + _sums(found)


def _truth(found: Attribution, lit: Lamp) -> tuple[np.ndarray, np.ndarray]:
    """Planted structure `(T, H, W)` bool, and true profile `(T,)` of what the method speaks of."""
    network = lit.network
    if found.parts["images"].ndim == 4:
        baseline = disc_median(lit.batch)
        change = (lit.batch.inputs["images"] - baseline.inputs["images"])[0]
        profile = (network.image_weight() * change).sum((0, 2, 3)).numpy()
    else:
        profile = _state_profile(lit)
    seen = np.abs(profile) > 1e-6 * np.abs(profile).max()
    return lit.blob.numpy() & seen[:, None, None], profile


def _state_profile(lit: Lamp) -> np.ndarray:
    """True first-order effect of each call's hidden state, w_t <m, h_t> / (2 pixels), `(T,)`."""
    network, state, effects = lit.network, None, []
    for t in range(lit.batch.inputs["images"].shape[2]):
        hidden, state = network.cell(lit.batch.inputs["images"][:, :, t], state)
        effects.append(network.time_weight[t] * (hidden[0, 0] * network.mask_weight).mean() / 2)
    return torch.stack(effects).numpy()


def _frames_differ(maps: np.ndarray, profile: np.ndarray) -> bool:
    frames = np.moveaxis(maps, -3, 0)[np.abs(profile) > 0]
    return all(not np.allclose(a, b) for a, b in pairwise(frames))


def _beats_random(maps: np.ndarray, truth: np.ndarray, seed: int) -> bool:
    flat = np.abs(maps).sum(0) if maps.ndim == 4 else maps
    stream = numpy_stream(seed, "explain", "self_test")
    null = [relevance_mass(phase_random(flat, stream), truth) for _ in range(NULLS)]
    return rank_p(relevance_mass(flat, truth), np.array(null)) <= 1 / (NULLS + 1)


def _shares(found: Attribution, lit: Lamp) -> list[str]:
    """Attribution outside the planted channel and the planted series variable."""
    problems = []
    images = found.parts["images"]
    if images.ndim == 4:
        share = _share(images.abs().sum((1, 2, 3)), lit.network.cell.channel_weight > 0)
        if share < LEAST:
            problems.append(f"only {share:.0%} lies in the planted channel")
    if "solar_wind" in found.parts:
        part = found.parts["solar_wind"].abs()
        share = _share(part.sum(0), (lit.network.series_weight != 0).any(0))
        if share < LEAST:
            problems.append(f"only {share:.0%} lies in the planted variable")
    return problems


def _share(weight: torch.Tensor, inside: torch.Tensor) -> float:
    total = float(weight.sum())
    return float(weight[inside].sum()) / total if total > 0 else 0.0


def _sums(found: Attribution) -> list[str]:
    gap = found.gap()
    if gap is None or gap <= 0.01:
        return []
    return [f"parts miss the difference to explain by {gap:.1%}"]
