"""When values count as known: stated for every source, changed by config, in `available`."""

import numpy as np
import pytest

from heliosight.core.errors import ConfigError
from heliosight.core.tables import SeriesTable
from heliosight.data.archives.catalogue import SOURCES
from heliosight.data.latency import LATENCY, Known


def table(latency=0):
    values = np.ones((2, 1), np.float32)
    flags = np.zeros((2, 1), np.uint8)
    return SeriesTable("geomagnetic", np.array([0, 10800]), 10800, ("ap",), values, flags, latency)


def test_every_source_of_a_table_has_a_latency_with_its_reason():
    made = {name for name in SOURCES if not name.endswith("_helioviewer")}
    assert made <= set(LATENCY)
    for name, latency in LATENCY.items():
        assert latency.why and latency.hours >= 0, name
        assert latency.stands_for in ("", *LATENCY)
        if latency.stands_for:
            assert not LATENCY[latency.stands_for].stands_for
            assert LATENCY[latency.stands_for].hours < latency.hours


def test_a_definitive_source_takes_the_place_of_the_early_one_and_is_labelled():
    assumed = Known({}).assumed("gfz_kp", "geomagnetic")
    assert assumed.definitive and assumed.stands_for == "gfz_now"
    assert assumed.latency_hours == LATENCY["gfz_now"].hours
    assert assumed.published_hours == LATENCY["gfz_kp"].hours > 24
    assert not Known({}).assumed("gfz_now", "geomagnetic").definitive
    own = Known({"gfz_kp": 48.0}).assumed("gfz_kp", "geomagnetic")
    assert (own.latency_hours, own.stands_for) == (48.0, "") and own.definitive
    early = Known({"gfz_now": 2.0}).assumed("gfz_kp", "geomagnetic")
    assert (early.latency_hours, early.why) == (2.0, "set by data.latency")


@pytest.mark.parametrize(
    ("hours", "cutoff", "seconds"),
    [({}, 30.0, 0), ({}, 0.0, 900), ({"gfz_now": 3.0}, 30.0, 9000), ({"gfz_now": 0.5}, 30.0, 0)],
)
def test_a_latency_within_the_cutoff_costs_nothing_and_more_delays_every_row(
    hours, cutoff, seconds
):
    late = Known(hours, cutoff).late(table(), "gfz_text")
    assert (late.available - table().available).tolist() == [seconds, seconds]
    assert Known(hours, cutoff).late(table(-86400), "gfz_text").latency == seconds - 86400


@pytest.mark.parametrize(
    ("hours", "cutoff", "match"),
    [
        ({"gfz": 1.0}, 30.0, "a latency is of a known source"),
        ({"gfz_now": -1.0}, 30.0, "in hours from 0"),
        ({}, 180.0, "before its first interval is over"),
    ],
)
def test_what_cannot_be_assumed_is_refused(hours, cutoff, match):
    with pytest.raises(ConfigError, match=match):
        Known(hours, cutoff)
