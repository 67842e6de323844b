"""What a store looks like: coverage and holes by hand, histograms, the contact sheet."""

import numpy as np
import pytest

from heliosight.core.tables import BAD_FRAME, MISSING, PRELIMINARY, ImageTable, SeriesTable
from heliosight.data.assemble import series
from heliosight.data.card import dataset_card
from heliosight.data.overview import bar_line, coverage, longest_gaps, sheet_rows, spreads

HOUR = 3600


def table(times, values):
    return series("t", np.array(times) * HOUR, HOUR, {"speed": np.array(values, dtype=float)})


def test_coverage_is_the_share_of_due_rows_that_are_observed():
    made = table([0, 1, 2, 3, 6, 7], [400, np.nan, 400, 400, 9e9, 400])
    assert coverage(made, 0, 8 * HOUR, 4).tolist() == [[0.5, 1.0, 0.0, 0.5]]
    assert coverage(made, 100 * HOUR, 108 * HOUR, 2).tolist() == [[0.0, 0.0]]
    assert coverage(made, 0, 4 * HOUR, 8).max() == 1.0


def test_the_longest_holes_come_first():
    made = table([0, 1, 5, 6, 9, 10], [400] * 6)
    gaps = [(g.start // HOUR, g.end // HOUR, g.rows) for g in longest_gaps(made)]
    assert gaps == [(2, 5, 3), (7, 9, 2)]
    filled = table(range(12), [np.nan, np.nan, 400, 9e9, 400, *[np.nan] * 4, 400, 400, np.nan])
    gaps = [(g.start // HOUR, g.end // HOUR, g.rows) for g in longest_gaps(filled)]
    assert gaps == [(5, 9, 4), (0, 2, 2), (3, 4, 1), (11, 12, 1)], "rows of fills are holes too"
    assert longest_gaps(table([], [])) == []
    assert longest_gaps(made, 1)[0].rows == 3 and longest_gaps(table([0], [400])) == []


def test_histograms_hold_what_is_observed_between_the_outer_quantiles():
    values = np.r_[np.linspace(300, 500, 998), 2999.0, np.nan]
    (spread,) = spreads(table(range(1000), values))
    assert spread.counts.sum() == pytest.approx(998, abs=2) and spread.edges[-1] < 3000
    assert spreads(table([0], [np.nan])) == []
    (flat,) = spreads(table([0, 1], [400, 400]))
    assert flat.counts.sum() == 2


def frames(count=40, bad=(3, 30), missing=(5,)):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (count, 1, 8, 8)).astype(np.uint8)
    flags = np.zeros((count, 1), dtype=np.uint8)
    flags[list(bad)], flags[list(missing)] = BAD_FRAME, MISSING
    return ImageTable("images", np.arange(count) * HOUR, HOUR, ("aia_193",), pixels, flags)


def test_grey_levels_are_counted_in_good_frames_alone():
    made = frames()
    (spread,) = spreads(made)
    good = np.flatnonzero(made.flags[:, 0] == 0)
    want, _ = np.histogram(made.frames[good, 0], np.linspace(0, 256, 65))
    assert np.array_equal(spread.counts, want)


def test_the_contact_sheet_is_even_and_shows_what_is_bad():
    rows = sheet_rows(frames(), most=5)
    assert rows == [0, 3, 10, 20, 29, 30, 39] and sheet_rows(frames(3, (), ()), 24) == [0, 1, 2]


def test_a_bar_is_empty_only_where_nothing_is():
    assert bar_line([0, 0.001, 0.5, 0.99, 1]) == "·▁▄██"


def test_the_card_tells_what_may_be_revised_and_what_was_corrected():
    made = table([0, 1], [400, 400])
    early = SeriesTable(
        "t", made.times, HOUR, made.variables, made.values, made.flags | PRELIMINARY
    )
    pictures = frames(2, (), ())
    once = ImageTable(
        "images", pictures.times, HOUR, ("aia_193",), pictures.frames, pictures.flags,
        history=("aia_193: exposure",),
    )  # fmt: skip
    card = dataset_card({"t": early, "images": once}, "x")
    assert "t: preliminary values, which may still be revised: speed 2" in card.caveats
    assert "images: corrections, each made once: aia_193: exposure" in card.caveats
