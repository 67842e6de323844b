import numpy as np
import pytest
import torch
from diagnosis_explainers import elsewhere, gradient, last_call_only
from diagnosis_worlds import CALL, LEADS, S, outcome, smooth
from torch import nn

from heliosight.core.batch import Batch
from heliosight.core.clock import DAY
from heliosight.core.errors import NotApplicable
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.diagnosis.blocks import TooFew, jackknife
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.rotation import (
    RADIUS_SHARE,
    SLOPES,
    best_slope,
    blocks_of,
    correlation_terms,
    explained,
    frame_gap,
    rotation_rate,
    sampled,
)
from heliosight.subject import wrap

T, SIZE, FRAME = 6, 32, 0.25
SPEC = ForecastSpec(
    {
        "images": ModalitySpec("images", "images", ("aia_193",), T, 6, size=SIZE),
        "solar_wind": ModalitySpec("series", "solar_wind", ("speed", "density"), S, 3),
    },
    leads=LEADS,
)
T22 = DiagnosisConfig(checks=("T22",), explained=32)


def turning(n, slope, noise=0.0, seed=0, steady=0.0):
    """`(n, T, H, W)`: one bright region each at a random place, moving `slope` times as the Sun."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    radius, centre = RADIUS_SHARE * SIZE, (SIZE - 1) / 2
    maps = noise * rng.standard_normal((n, T, SIZE, SIZE))
    for i in range(n):
        lat, lon = rng.uniform(-30, 30), rng.uniform(-30, 15)
        for t in range(T):
            turned = np.radians(lon + slope * t * FRAME * rotation_rate(np.array(lat)))
            y = centre - radius * np.sin(np.radians(lat))
            x = centre + radius * np.cos(np.radians(lat)) * np.sin(turned)
            maps[i, t] += np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 8)
    return maps + steady


def slope(maps):
    rows = np.arange(len(maps)) * 8 // len(maps)
    return jackknife(correlation_terms(maps, FRAME), rows, best_slope)


@pytest.mark.parametrize("planted", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_planted_slope_is_found(planted, noise):
    assert slope(turning(32, planted, noise)).value == pytest.approx(planted, abs=0.15)


@pytest.mark.parametrize("change", [lambda m: 7 * m, lambda m: m + 5, lambda m: -m])
def test_scale_offset_and_sign_of_maps_change_nothing(change):
    maps = turning(16, 1.0, 0.1)
    assert slope(change(maps)).value == pytest.approx(slope(maps).value, abs=1e-6)


def test_slope_equals_a_search_over_correlations():
    maps = turning(12, 1.0, 0.1)
    sums = correlation_terms(maps, FRAME).sum(0)
    k = len(SLOPES)
    r = [sums[i] / np.sqrt(sums[k + i] * sums[2 * k + i]) for i in range(k)]
    top = int(np.argmax(r))
    fit = np.polyfit(SLOPES[top - 1 : top + 2], r[top - 1 : top + 2], 2)
    assert float(best_slope(sums)) == pytest.approx(-fit[1] / (2 * fit[0]), abs=1e-6)


def test_places_on_the_disc_are_read_where_they_are():
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(float)
    lat, lon = np.array([0.0, 30.0]), np.array([0.0, 40.0])
    middle, radius = (SIZE - 1) / 2, RADIUS_SHARE * SIZE
    np.testing.assert_allclose(sampled(rows, lat, lon), [middle, middle - radius / 2])
    west = middle + radius * np.cos(np.radians(30)) * np.sin(np.radians(40))
    np.testing.assert_allclose(sampled(columns, lat, lon), [middle, west])


def test_rotation_period_of_the_equator():
    assert 360 / rotation_rate(np.array(0.0)) == pytest.approx(26.2, abs=0.1)
    assert rotation_rate(np.array(40.0)) < rotation_rate(np.array(0.0))


def test_frames_too_close_and_maps_without_variation():
    assert frame_gap(28, 0.25, 64) == 2
    with pytest.raises(NotApplicable, match="turns by a pixel"):
        frame_gap(2, 0.01, 64)
    with pytest.raises(NotApplicable, match="maps that vary on the disc"):
        correlation_terms(np.ones((4, T, SIZE, SIZE)), FRAME)


class Reader(nn.Module):
    """exp of the bright regions anywhere on the disc, or of brightness at one fixed place."""

    def __init__(self, place=False, weight=1.0):
        super().__init__()
        self.weight, self.place = nn.Parameter(torch.tensor(weight)), place
        where = torch.zeros(SIZE, SIZE)
        where[12:20, 12:20] = 1.0
        self.register_buffer("where", where)

    def forward(self, sdo, omni):
        x = sdo[:, :, 0]
        seen = (x * self.where).mean((1, 2, 3)) if self.place else (x**2).mean((1, 2, 3))
        return torch.expm1(2 + self.weight * 20 * seen + 0.1 * omni[:, -1, 0])[:, None].expand(
            -1, LEADS
        )


def world(n=120, place=False, informative=True, seed=0):
    rng = np.random.default_rng(seed)
    size = 0.5 + np.abs(smooth(n, seed + 3)[:, 0])
    maps = turning(n, 1.0, seed=seed) * size[:, None, None, None]
    x = torch.tensor(maps[:, None]).float()
    wind = torch.tensor(smooth(n, seed + 2, count=S * 2).reshape(n, S, 2)).float()
    seen = x[:, 0, :, 12:20, 12:20].sum((1, 2, 3)) if place else (x**2).sum((1, 2, 3, 4))
    signal = seen / (T * SIZE * SIZE) * 20 if informative else torch.zeros(n)
    noise = torch.tensor(0.1 * rng.standard_normal((n, LEADS))).float()
    target = torch.expm1(2 + signal[:, None] + 0.1 * wind[:, -1, :1] + noise)
    times = torch.arange(n, dtype=torch.int64) * 4 * DAY
    mask = torch.ones(n, 1, T, dtype=torch.bool)
    return Batch(
        {"images": x, "solar_wind": wind},
        {"images": mask, "solar_wind": wind == wind},
        times,
        target.clamp(min=0),
        torch.ones(n, LEADS, dtype=torch.bool),
    )


def reader(**kwargs):
    return wrap(Reader(**kwargs), SPEC, call=CALL, parts={}, name="reader")


def asked(subject, batch, explainer=gradient):
    said = diagnose(subject, batch, T22, explainers={"e": explainer})
    return outcome(said, "T22", "e")


def test_a_model_that_reads_the_moving_region_follows_the_sun():
    found = asked(reader(), world())
    assert found.outcome == "healthy", found
    assert found.value.low <= 1 <= found.value.high
    assert found.value.low > 0


def test_a_fixed_place_that_carries_the_signal_is_healthy():
    found = asked(reader(place=True), world(place=True))
    assert found.outcome == "healthy", found
    assert "a fixed place carries the signal" in found.reason


def test_a_fixed_place_without_use_is_a_fault():
    found = asked(reader(place=True), world(place=True, informative=False))
    assert (found.outcome, found.cause) == ("fault", "static_map"), found


def test_nothing_is_said_with_an_explainer_that_failed():
    found = asked(reader(), world(), last_call_only)
    assert found.outcome == "inconclusive"
    assert "failed T1" in found.reason


def test_a_slope_that_is_neither_is_not_resolved():
    halfway = torch.tensor(turning(32, 0.5))
    found = asked(reader(), world(n=32), elsewhere(lambda _, b: halfway[: len(b)]))
    assert found.outcome == "inconclusive"
    assert found.reason == "not resolved"


def test_few_windows_or_blocks_decide_nothing():
    few = Evidence(reader(), world(n=6), T22, {"e": gradient})
    with pytest.raises(TooFew, match="8 windows"):
        explained(few, "e")
    with pytest.raises(TooFew, match="4 blocks of 27 d"):
        blocks_of(Evidence(reader(), world(n=12), T22), np.arange(12))
