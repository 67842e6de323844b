"""What a window lacks, what is usual, and what is withheld for it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heliosight.core.batch import Batch
from heliosight.core.errors import DataError
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.issuing.gaps import (
    Usual,
    input_names,
    is_usual,
    lack,
    newest_missing,
    rung,
    withheld_by_name,
)
from heliosight.issuing.withheld import Withheld

SPEC = ForecastSpec(
    {
        "images": ModalitySpec("images", "images", ("aia_193", "aia_211"), 4, 6, size=2),
        "wind": ModalitySpec("series", "solar_wind", ("speed", "ap"), 6, 3),
    }
)


class Source:
    spec = SPEC

    def batch(self, issue_times, image_shift=None):
        assert image_shift is None
        n = len(issue_times)
        return Batch(
            {"images": torch.full((n, 2, 4, 2, 2), 7, dtype=torch.uint8),
             "wind": torch.full((n, 6, 2), 3.0)},
            {"images": torch.ones(n, 2, 4, dtype=torch.bool),
             "wind": torch.ones(n, 6, 2, dtype=torch.bool)},
            torch.from_numpy(np.asarray(issue_times)), torch.zeros(n, 24),
            torch.ones(n, 24, dtype=torch.bool),
        )  # fmt: skip


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_the_newest_run_is_counted_as_by_hand(rows):
    mask = np.array(rows)[:, :, None]
    by_hand = []
    for row in rows:
        count = 0
        for seen in reversed(row):
            if seen:
                break
            count += 1
        by_hand.append(count)
    assert newest_missing(mask)[:, 0].tolist() == by_hand
    assert (newest_missing(mask) <= lack(mask)).all()


def test_rungs_are_rounded_up_and_never_beyond_the_window():
    assert rung(np.array([0, 1, 3, 5, 6, 99]), 6).tolist() == [1, 1, 4, 6, 6, 6]


def test_only_what_is_unusual_is_withheld_and_by_variable():
    past = {"wind": np.ones((100, 6, 2), bool), "images": np.ones((100, 4, 2), bool)}
    past["wind"][:30, 2, 0] = False  # speed lacks one step in 30 of 100 windows
    usual = Usual.of(past)
    now = {"wind": np.ones((3, 6, 2), bool), "images": np.ones((3, 4, 2), bool)}
    now["wind"][1, 1, 0] = False  # as usual
    now["wind"][2, 4:, 1] = False  # two newest of ap
    now["images"][2, :, 0] = False  # a whole channel
    states = usual.states(now)
    assert [is_usual(s) for s in states] == [True, True, False]
    assert withheld_by_name(SPEC, states[2]) == {"wind.ap": 2, "images.aia_193": 4}


def test_a_hole_counts_as_if_the_newest_steps_were_gone():
    usual = Usual.of({"wind": np.ones((10, 6, 2), bool)})
    now = np.ones((1, 6, 2), bool)
    now[0, :3, 0] = False
    assert dict(usual.states({"wind": now})[0])["wind"] == (4, 0)


def test_usual_needs_a_past():
    with pytest.raises(DataError, match="windows of the training past"):
        Usual.of({"wind": np.ones((0, 6, 2), bool)})


def test_withheld_steps_are_unobserved_and_nothing_else_changes():
    state = (("images", (1, 0)), ("wind", (0, 6)))
    made = Withheld(Source(), state)
    assert made.spec is SPEC
    batch, whole = made.batch(np.array([0, 10800])), Source().batch(np.array([0, 10800]))
    assert not batch.observed["images"][:, 0, 3].any()
    assert batch.observed["images"][:, 0, :3].all()
    assert batch.observed["images"][:, 1].all()
    assert (batch.inputs["images"][:, 0, 3] == 0).all()
    assert (batch.inputs["images"][:, 1] == 7).all()
    assert not batch.observed["wind"][..., 1].any()
    assert (batch.inputs["wind"][..., 1] == 0).all()
    assert (batch.inputs["wind"][..., 0] == 3).all()
    assert (whole.inputs["images"] == 7).all()


def test_inputs_are_named_in_order():
    assert input_names(SPEC) == ("images.aia_193", "images.aia_211", "wind.speed", "wind.ap")
