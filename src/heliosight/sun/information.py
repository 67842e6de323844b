"""How much of the target anybody could know: brackets by what is observed.

Target: daily means of log1p(ap) over day 1, 2, 3 after issue. Per kind of information two numbers:

- `ceiling`: the share of variance explained by the conditional mean given the hidden state that
  the information can at most reveal, by Monte Carlo over everything it cannot reveal. `images`
  know every structure (place, size, polarity) for certain; unknown are the wind's variability,
  each hole's hidden efficiency and every CME. A source that does not rotate is painted without a
  polarity, so that is unknown as well. `both`, and `wind`, know in addition the
  efficiencies, the CMEs already launched, and the wind's variability as far as it has arrived;
  unknown are variability that has left the Sun but not arrived, and all that is drawn later.
  These are upper bounds: real frames are noisy and a week long. Exact up to Monte Carlo error
  (in `error`), with two exceptions: structures born after issue are taken as known (wind needs
  more than two days to arrive, so only the last hours of day 3 can feel it); and with
  `image_information` between 0 and 1 the hidden holes are replaced by the mean share of an
  independent Sun. Where the frames show another Sun the ceiling is 0 by construction.
- `floor`: the share explained, on the other half of the run, by ridge regression on noise-free
  features of the same information (hole area by longitude and region brightness in three frames
  or in one; wind and ap of the last week). A lower bound: the best predictor is not linear.

The best any model could do lies between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import lfilter

from heliosight.core.clock import HOUR
from heliosight.core.geomagnetic import AP_LEVELS
from heliosight.core.progress import bar
from heliosight.core.seeding import numpy_stream
from heliosight.sun.cme import Ejection, ejections
from heliosight.sun.features import image_features, wind_features
from heliosight.sun.heliosphere import EARTH_KM, INNER_KM
from heliosight.sun.index import kp_continuous, kp_step
from heliosight.sun.source import sources
from heliosight.sun.structures import EFFICIENCY_SPREAD, plant
from heliosight.sun.wind import Wind, ambient, finish, overlay
from heliosight.sun.wind_noise import AT_THE_SUN, PROCESSES
from heliosight.sun.world import World, reach_back, run_index, run_wind

DAYS = (1, 2, 3)
WINDOW_HOURS = 72
PAD = 12
BLOCK_DAYS = 27
RIDGE = 30.0
Sources = dict[str, tuple[int, np.ndarray, float]]
Target = tuple[np.ndarray, np.ndarray]  # daily means `(N, 3)` and their issue hours `(N,)`


@dataclass(frozen=True)
class Knowable:
    """Share of the variance of daily mean log1p(ap) that is knowable.

    Attributes
    ----------
    information : `images`, `wind`, `both`, or `frame k` (k-th of 28, oldest first, alone).
    day : 1, 2 or 3.
    floor, ceiling : bounds, see the module; ceiling None where only the floor is computed.
    error : standard error of the ceiling (of the floor where there is none) over 27-day blocks.
    """

    information: str
    day: int
    floor: float
    ceiling: float | None
    error: float


def achievable(
    world: World, noise: Wind, issues: int, members: int, frames: Sequence[int]
) -> list[Knowable]:
    """Brackets for images, wind, both and single frames.

    Parameters
    ----------
    issues : issue times, evenly spaced over the run, for the ceilings.
    members : redrawn futures per issue time.
    frames : which of 28 frames to judge alone.
    """
    floors, target = _floors(world, noise, frames)
    ceilings = {
        name: _ceiling(world, noise, name, issues, members, target) for name in ("images", "both")
    }
    ceilings["wind"] = ceilings["both"]
    found = []
    for name, values in floors.items():
        for row, day in enumerate(DAYS):
            floor, spread = values[row]
            top, error = ceilings[name][row] if name in ceilings else (None, spread)
            found.append(Knowable(name, day, floor, top, error))
    return found


def knowable_on(
    world: World,
    noise: Wind,
    learn: np.ndarray,
    test: np.ndarray,
    issues: int,
    members: int,
) -> list[Knowable]:
    """Brackets on a test block, for what was trained on the past and scored there.

    The floor's ridge learns at the issue hours `learn` `(N,)` and is scored at `test` `(M,)`, both
    since 1970; the ceiling is drawn at `issues` of `test` and divided by the variance there.
    """
    hours = np.concatenate([learn, test])
    inputs, target = noise_free(world, noise, hours, ())
    inside = np.arange(len(hours)) >= len(learn)
    y = target[inside]
    chosen = test[np.linspace(0, len(test) - 1, issues).astype(int)]
    tops = {n: _drawn(world, noise, n, chosen, members, (y, test)) for n in ("images", "both")}
    tops["wind"] = tops["both"]
    found = []
    for name, x in inputs.items():
        loss = (y - _fit(x[~inside], target[~inside], x[inside])) ** 2
        for row, day in enumerate(DAYS):
            floor, _ = _share(loss[:, row], test, y[:, row], test)
            found.append(Knowable(name, day, floor, *tops[name][row]))
    return found


def _ceiling(
    world: World, noise: Wind, name: str, issues: int, members: int, target: Target
) -> list[tuple[float, float]]:
    """Per day the explained share and its standard error.

    1 - E[Var(y | known)] / Var(y): by the law of total variance the share that the conditional
    mean explains. The inner variance is that of the members, the outer that of the whole run.
    """
    begin, end = world.config.start_second // HOUR, world.config.stop_second // HOUR
    hours = np.linspace(begin + 24, end - WINDOW_HOURS, issues).astype(int) // 3 * 3
    return _drawn(world, noise, name, hours, members, target)


def _drawn(
    world: World, noise: Wind, name: str, hours: np.ndarray, members: int, target: Target
) -> list[tuple[float, float]]:
    """The ceiling from futures drawn at given issue hours."""
    if name == "images" and world.config.image_information == 0:
        return [(0.0, 0.0)] * 3
    pool = _other_suns(world, members) if name == "images" else ()
    within = np.empty((len(hours), 3))
    with bar(f"knowable from {name}", len(hours)) as running:
        for row, hour in enumerate(hours):
            drawn = _days(_members(world, noise, name, int(hour), members, pool))
            within[row] = drawn.var(0, ddof=1)
            running.advance()
    y, when = target
    return [_share(within[:, d], hours, y[:, d], when) for d in range(3)]


def _share(
    loss: np.ndarray, loss_hours: np.ndarray, y: np.ndarray, y_hours: np.ndarray
) -> tuple[float, float]:
    """1 - mean loss / variance of y, and its standard error by leaving out 27-day blocks."""
    whole = 1.0 - loss.mean() / y.var()
    blocks, y_blocks = loss_hours // (24 * BLOCK_DAYS), y_hours // (24 * BLOCK_DAYS)
    names = np.unique(blocks)
    if len(names) < 3:
        return float(whole), float("nan")
    left = [1.0 - loss[blocks != b].mean() / y[y_blocks != b].var() for b in names]
    return float(whole), float(np.sqrt((len(names) - 1) * np.var(left)))


def _other_suns(world: World, members: int) -> tuple[Sources, ...]:
    """Hole sources of independent Suns: what hidden structures might as well be."""
    if world.config.image_information == 1 or world.config.static or world.drive is not None:
        return ()
    span = (world.first, world.last)
    return tuple(sources(plant(world.config, *span, f"again/{i}"), *span) for i in range(members))


def _days(ap: np.ndarray) -> np.ndarray:
    """Daily means of log1p(ap) `(..., 3)` from 24 leads `(..., 24)`."""
    return np.log1p(ap).reshape(*ap.shape[:-1], 3, 8).mean(-1)


def _span(world: World, hour: int) -> tuple[int, int]:
    return max(world.first, hour - reach_back(world.config)), hour + WINDOW_HOURS + PAD


def _members(
    world: World, noise: Wind, name: str, hour: int, members: int, pool: tuple[Sources, ...] = ()
) -> np.ndarray:
    """`(members, 24)` ap drawn given what is known at `hour`."""
    begin, end = _span(world, hour)
    stream = numpy_stream(world.config.seed, "knowable", name, hour)
    known = hour if name == "both" else begin
    arrived = max(begin, known - _under_way(world, noise, hour)) if name == "both" else begin
    drawn = _redrawn(world, noise, (begin, end, known, arrived), members, stream)
    area, signed = _areas(world, (begin, end), members, None if name == "both" else stream, pool)
    wind = ambient(area, signed, drawn, world.config.noise)
    hours = np.arange(begin, end)
    for member in range(members):
        own = {key: values[member] for key, values in wind.items()}
        overlay(own, hours, _events(world, begin, end, known, f"{name}/{hour}/{member}"))
    whole = finish(wind, hours)
    unexplained = world.config.noise * drawn["kp"]
    raw = kp_continuous(whole, world.config.memory_hours, unexplained)
    return AP_LEVELS[kp_step(raw)][:, (hour - begin) // 3 :][:, :24]


def _under_way(world: World, noise: Wind, hour: int) -> int:
    """Hours since the wind now at the Earth left the Sun: it moves at its own speed."""
    begin, end = _span(world, hour)
    speed = run_wind(world, begin, end, (), noise)["speed"][hour - begin]
    return int((EARTH_KM - INNER_KM) / speed / HOUR)


def _redrawn(
    world: World,
    noise: Wind,
    times: tuple[int, int, int, int],
    members: int,
    stream: np.random.Generator,
) -> Wind:
    """Noise `(members, hours)` that is the world's as far as known, and redrawn from there on.

    `times` are begin, end, the hour up to which what happens at the Earth is known, and the hour
    up to which what leaves the Sun is.
    """
    found = {}
    begin, end, felt, arrived = times
    for name, (memory, size) in PROCESSES.items():
        keep = np.exp(-1.0 / memory)
        known = arrived if name in AT_THE_SUN else felt
        past = noise[name][begin - world.first : known - world.first]
        kicks = stream.standard_normal((members, end - known)) * size * np.sqrt(1 - keep**2)
        last = np.full(members, past[-1]) if len(past) else size * stream.standard_normal(members)
        future, _ = lfilter([1.0], [1.0, -keep], kicks, axis=-1, zi=keep * last[:, None])
        found[name] = np.concatenate([np.tile(past, (members, 1)), future], axis=1)
    return found


def _areas(
    world: World,
    span: tuple[int, int],
    members: int,
    stream: np.random.Generator | None,
    pool: tuple[Sources, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Source areas `(members, hours)` and the same signed.

    With a stream each hole's efficiency is redrawn, and holes that no frame shows are replaced by
    the pool's mean share of them. A painted source shows its area for certain, and no polarity.
    """
    if stream is None or world.drive is not None:
        area, signed = world.area(*span)
        return np.tile(area, (members, 1)), np.tile(signed, (members, 1))
    if world.config.static:
        return _of_any_polarity(world, span, members, stream)
    total, signed_total = np.zeros((2, members, span[1] - span[0]))
    hidden = {s.key for s in world.structures if s.hidden_rank >= world.config.image_information}
    kept = {s.key: s.efficiency for s in world.structures}
    for key in world.sources:
        area, signed = world.area(*span, only=key)
        if area.any() and key not in hidden:
            fresh = stream.lognormal(*EFFICIENCY_SPREAD, members) / kept[key]
            total += fresh[:, None] * area
            signed_total += fresh[:, None] * signed
    for member, others in enumerate(pool):
        part = replace(world, sources=others).area(*span)
        total[member] += (1.0 - world.config.image_information) * part[0]
        signed_total[member] += (1.0 - world.config.image_information) * part[1]
    return total, signed_total


def _of_any_polarity(
    world: World, span: tuple[int, int], members: int, stream: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The static source's area as it is, with a polarity drawn for each hole behind it."""
    total = np.tile(world.area(*span)[0], (members, 1))
    signed = np.zeros_like(total)
    for key in world.sources:
        area, _ = world.area(*span, only=key)
        if area.any():
            signed += stream.choice((-1.0, 1.0), members)[:, None] * area
    return total, signed


def _events(world: World, begin: int, end: int, known: int, draw: str) -> list[Ejection]:
    """CMEs launched before `known`, and others drawn afresh from then on."""
    past = [e for e in world.events if e.launch < known]
    fresh = [
        event
        for region in world.structures
        if region.kind == "region" and region.death > known - 150 and region.birth < end
        for event in ejections(region, world.config.seed, world.config.cme_share, f"again/{draw}")
    ]
    return [
        e for e in past + fresh if begin - 72 < e.arrival < end and (e in past or e.launch >= known)
    ]


def _floors(
    world: World, noise: Wind, frames: Sequence[int]
) -> tuple[dict[str, list[tuple[float, float]]], Target]:
    """Ridge regressions on half of the run, scored on the other half, both ways; and the target."""
    begin, end = world.config.start_second // HOUR, world.config.stop_second // HOUR
    hours = np.arange(begin + 7 * 24, end - WINDOW_HOURS, 12)
    inputs, target = noise_free(world, noise, hours, frames)
    return {name: _ridge(x, target, hours) for name, x in inputs.items()}, (target, hours)


def noise_free(
    world: World, noise: Wind, hours: np.ndarray, frames: Sequence[int]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Noise-free features by kind of information, and the target `(N, 3)`, at issue hours."""
    wind = run_wind(world, world.first, world.last, (), noise)
    ap = run_index(world, world.first, wind, noise)["ap"]
    leads = (hours[:, None] - world.first) // 3 + np.arange(24)
    target = _days(ap[leads])
    cadence = world.config.image_cadence_hours
    ages = [0, 9, 18]
    seen = np.concatenate([image_features(world, hours - a * cadence) for a in ages], axis=1)
    felt = wind_features(world, wind, ap, hours)
    inputs = {"images": seen, "wind": felt, "both": np.concatenate([seen, felt], axis=1)}
    for frame in frames:
        inputs[f"frame {frame}"] = image_features(world, hours - (27 - frame) * cadence)
    return inputs, target


def _ridge(
    features: np.ndarray, target: np.ndarray, hours: np.ndarray
) -> list[tuple[float, float]]:
    """Per day the share explained out of sample."""
    loss = (target - held_out(features, target, hours)) ** 2
    if np.isnan(loss).any():
        return [(float("nan"), float("nan"))] * 3
    return [_share(loss[:, d], hours, target[:, d], hours) for d in range(3)]


def held_out(features: np.ndarray, target: np.ndarray, hours: np.ndarray) -> np.ndarray:
    """`(N, 3)` ridge forecasts by halves of alternate 108-day spans; NaN where one is empty."""
    fold = hours // (24 * BLOCK_DAYS * 4) % 2
    forecast = np.empty_like(target)
    for side in (0, 1):
        fit, test = fold != side, fold == side
        if not fit.any() or not test.any():
            return np.full_like(target, np.nan)
        forecast[test] = _fit(features[fit], target[fit], features[test])
    return forecast


def _fit(past: np.ndarray, target: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Ridge forecast at `now` `(M, F)` from features `(N, F)` and targets `(N, 3)` of the past."""
    mean, spread = past.mean(0), past.std(0) + 1e-9
    x, z = (past - mean) / spread, (now - mean) / spread
    centre = target.mean(0)
    gram = x.T @ x + RIDGE * np.eye(x.shape[1])
    return np.asarray(centre + z @ np.linalg.solve(gram, x.T @ (target - centre)))
