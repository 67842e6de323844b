"""How old an input is: from its interval's end, or from the moment that its value is of."""

import numpy as np
import pytest

from heliosight.core.clock import DAY, HOUR, to_seconds
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import PRELIMINARY, SeriesTable
from heliosight.data.windows import Windows
from heliosight.issuing.gaps import Usual
from heliosight.workflows.input_ages import ages, input_states, window_masks

START = to_seconds("2015-03-01")


def series(name, cadence, variable, latency=0, count=40):
    times = START + cadence * np.arange(count)
    values, flags = np.full((count, 1), 4.0, np.float32), np.zeros((count, 1), np.uint8)
    flags[-3:] = PRELIMINARY
    return SeriesTable(name, times, cadence, (variable,), values, flags, latency)


@pytest.mark.parametrize(
    ("latency", "hours"), [(0, 0.0), (-DAY, 0.0), (-DAY + 9 * HOUR, 15.0), (2 * HOUR, 24.0)]
)
def test_an_age_counts_from_what_the_value_is_of(latency, hours):
    areas = series("coronal_holes", DAY, "ch_area", latency)
    ap = series("geomagnetic", 3 * HOUR, "ap", count=8 * 45)
    holes = ModalitySpec("series", "coronal_holes", ("ch_area",), 7, 24)
    windows = Windows({"coronal_holes": areas, "geomagnetic": ap}, ForecastSpec({"holes": holes}))
    issue = START + 30 * DAY
    assert ages(windows, np.array([issue])).tolist() == [[hours]]


def test_what_may_still_be_revised_is_counted_in_the_window():
    ap = series("geomagnetic", 3 * HOUR, "ap")
    spec = ForecastSpec({"ap": ModalitySpec("series", "geomagnetic", ("ap",), 8, 3)})
    windows = Windows({"geomagnetic": ap}, spec)
    usual = Usual.of(window_masks(windows, np.array([START + 3 * DAY])))
    counts = [
        input_states(windows, usual, START + 3 * HOUR * n)[0].preliminary for n in (36, 38, 40, 45)
    ]
    assert counts == [0, 1, 3, 3]
