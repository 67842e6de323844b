import dataclasses

import numpy as np
import pytest

from heliosight.core.clock import DAY, HOUR, to_seconds
from heliosight.core.errors import DataError
from heliosight.core.tables import SeriesTable
from heliosight.sun import Oracle, SunConfig
from heliosight.sun import sent as sent_module
from heliosight.sun.wind import source_speed

CONFIG = SunConfig(
    start="2014-01-01", end="2014-05-01", size=24, seed=1, cycle_phase=0.6, cme_share=0.0, noise=0.3
)
ISSUE, FRAMES = to_seconds("2014-03-05"), 12


@pytest.fixture(scope="module")
def oracle():
    return Oracle(CONFIG)


@pytest.fixture(scope="module")
def sent(oracle):
    return oracle.sent(ISSUE, range(8, 16), FRAMES)


def dark(oracle, spans):
    """Mean ap of day 2 when the holes send nothing during `spans`, written out by hand."""
    world = oracle._world
    changed = {}
    for key, (start, values, sign) in world.sources.items():
        hours = start + np.arange(len(values))
        inside = np.zeros(len(hours), dtype=bool)
        for begin, end in spans:
            inside |= (hours >= begin) & (hours < end)
        changed[key] = (start, np.where(inside, 0.0, values), sign)
    other = Oracle(CONFIG)
    other._world = dataclasses.replace(world, sources=changed)
    rows = (other.times() >= ISSUE + DAY) & (other.times() < ISSUE + 2 * DAY)
    return other.ap(snap=False)[rows].mean()


def spans_of(oracle):
    hours = oracle._frame_times(ISSUE, FRAMES) // HOUR
    return [(h - 3, h + 3) for h in hours]


def test_frames_sum_to_the_effect_of_all_of_them(oracle, sent):
    spans = spans_of(oracle)
    whole = dark(oracle, []) - dark(oracle, spans)
    assert abs(whole) > 0.05
    assert sent.total == pytest.approx(whole, abs=1e-9)
    assert sent.per_frame.sum() == pytest.approx(whole, abs=1e-9)


def test_a_frame_is_the_mean_of_going_dark_next_in_every_order(oracle, monkeypatch):
    """The slow twin: the permutations written out; the first two are oldest and newest on."""
    spans = spans_of(oracle)
    drawn = []
    true = sent_module._orders
    monkeypatch.setattr(sent_module, "ORDERS", 4)
    monkeypatch.setattr(sent_module, "_orders", lambda *a: drawn.append(true(*a)) or drawn[-1])
    found = oracle.sent(ISSUE, range(8, 16), FRAMES).per_frame
    (orders,) = drawn
    assert [o[::-1] for o in orders[::2]] == orders[1::2] and orders[0] == sorted(orders[0])
    k = int(np.abs(found).argmax())
    effects = []
    for order in orders:
        gone = [spans[j] for j in order[: order.index(k)]]
        effects.append(dark(oracle, gone) - dark(oracle, [*gone, spans[k]]))
    assert found[k] == pytest.approx(np.mean(effects), abs=1e-9)


def test_a_frame_without_a_hole_has_no_effect_and_more_orders_agree(oracle, sent, monkeypatch):
    world = oracle._world
    idle = [not sent_module._acting(world, [span]) for span in spans_of(oracle)]
    assert not sent.per_frame[idle].any()
    monkeypatch.setattr(sent_module, "ORDERS", 64)
    many = oracle.sent(ISSUE, range(8, 16), FRAMES)
    np.testing.assert_allclose(sent.per_frame, many.per_frame, atol=0.1 * abs(many.total))


def test_pixels_hold_what_their_frame_sent(oracle, sent):
    """Holes that face the Earth are seen, so nothing is lost on the way to pixels."""
    assert sent.values.shape == (3, FRAMES, 24, 24)
    shown = np.abs(sent.values).sum((0, 2, 3)) > 0
    found = sent.values.sum((0, 2, 3))
    np.testing.assert_allclose(found[shown], sent.per_frame[shown], atol=1e-4)


def test_wind_too_young_to_have_arrived_has_no_effect(oracle):
    """Steepening looks ten hours upstream; nothing moves faster than the fastest source."""
    first = oracle.sent(ISSUE, range(8), FRAMES)
    fastest = float(source_speed(np.array(10.0)))
    flight = int(1.496e8 * 0.9 / fastest / HOUR) - 12
    hours = (oracle._frame_times(ISSUE, FRAMES) - ISSUE) // HOUR
    too_young = hours - 3 + flight > 24
    assert too_young.any()
    np.testing.assert_allclose(first.per_frame[too_young], 0.0, atol=0.02)


def test_a_static_source_shows_at_one_place_what_it_sent():
    oracle = Oracle(dataclasses.replace(CONFIG, static=True))
    found = oracle.sent(ISSUE, range(8, 16), FRAMES)
    lit = np.abs(found.values).sum((0, 1)) > 0
    assert 0 < lit.mean() < 0.2
    assert found.values.sum() == pytest.approx(found.total, abs=1e-3)


def test_a_driven_sun_has_no_planted_wind():
    days = np.arange(to_seconds("2013-01-01"), to_seconds("2014-06-01"), DAY)
    area = np.full((len(days), 1), 0.05, dtype=np.float32)
    drive = SeriesTable("coronal_holes", days, DAY, ("ch_area",), area, np.zeros_like(area, "u1"))
    with pytest.raises(DataError, match="where holes are planted"):
        Oracle(CONFIG, drive).sent(ISSUE)
