"""A model's explanations held to the truth over several windows, beside maps that know nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from heliosight.core.batch import Batch
from heliosight.core.errors import SpecError
from heliosight.core.seeding import numpy_stream
from heliosight.explain.channels import channel_maps
from heliosight.explain.explainer import attributions_made, cam_scale
from heliosight.explain.gradcam import FORMS
from heliosight.explain.nulls import PRIORS, phase_random, prior
from heliosight.explain.question import ExplainConfig
from heliosight.explain.truth import scores_over
from heliosight.subject import Subject, examine

DRAWS = 5
RANDOM = "random_smooth"
BASELINES = (RANDOM, *PRIORS)
BY_CHANNEL = "{method}, by channel"
Maps = dict[str, np.ndarray]


def score_methods(
    subject: Subject,
    windows: Batch,
    truths: Sequence[np.ndarray],
    config: ExplainConfig,
    context: Batch | None = None,
) -> dict[str, dict[str, float]]:
    """Scores by method over windows `(N)` with a true attribution `(C, T, H, W)` each.

    CAM forms count twice: as the map of the states, and by channel. `random_smooth` has the
    spectrum of the first method that has channels; `centre`, `limb` and `brightness` are fixed.

    Raises
    ------
    SpecError : not one truth a window, or none.
    """
    if len(truths) != len(windows) or not len(windows):
        raise SpecError("each scored window has its truth", f"{len(windows)} and {len(truths)}")
    maps = [maps_of(subject, windows.select([n]), config, context) for n in range(len(windows))]
    found = {}
    for method in maps[0]:
        found[method] = scores_over([(m[method], t) for m, t in zip(maps, truths, strict=True)])
    return found | _knowing_nothing(windows, maps, truths, config)


def maps_of(subject: Subject, window: Batch, config: ExplainConfig, context: Batch | None) -> Maps:
    """Image attributions of one window by method, `(C, T, H, W)` or `(T, H, W)`."""
    found: Maps = {}
    with examine(subject):
        for made in attributions_made(subject, window, config, context):
            modality = made.question.modality
            if modality not in made.found.parts:
                continue
            found[made.name] = made.found.parts[modality].detach().cpu().double().numpy()
            if made.name in FORMS:
                scale = cam_scale(made.question)
                by_channel = channel_maps(made.question, made.name, scale)
                name = BY_CHANNEL.format(method=made.name)
                found[name] = by_channel.cpu().double().numpy()
    return found


def _knowing_nothing(
    windows: Batch, maps: Sequence[Maps], truths: Sequence[np.ndarray], config: ExplainConfig
) -> dict[str, dict[str, float]]:
    images = next(x for x in windows.inputs.values() if x.ndim == 5).cpu().double().numpy()
    found = {name: scores_over(_fixed(name, images, truths)) for name in PRIORS}
    full = [name for name, m in maps[0].items() if m.ndim == 4] or list(maps[0])
    draws = []
    for draw in range(DRAWS):
        stream = numpy_stream(config.seed, "explain", "scoring", draw)
        pairs = [(phase_random(m[full[0]], stream), t) for m, t in zip(maps, truths, strict=True)]
        draws.append(scores_over(pairs))
    found[RANDOM] = {key: float(np.mean([d[key] for d in draws])) for key in draws[0]}
    return found


def _fixed(
    name: str, images: np.ndarray, truths: Sequence[np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """A prior spread alike over the channels, with each window's truth."""
    return [
        (np.broadcast_to(prior(name, x), truth.shape), truth)
        for x, truth in zip(images, truths, strict=True)
    ]


def best_prior(scores: Mapping[str, Mapping[str, float]], name: str) -> float:
    """The largest score of any map that knows nothing of the model."""
    return max(scores[baseline][name] for baseline in BASELINES if baseline in scores)
