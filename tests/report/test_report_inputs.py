from dataclasses import replace

import numpy as np
import pytest

from heliosight.core.errors import ConfigError, SpecError


def test_unknown_language_is_refused(inputs):
    with pytest.raises(ConfigError, match=r"known language.*'de'.*en, ko"):
        inputs(language="de")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"mean": np.zeros(23)}, r"mean \(23,\) instead of \(24,\)"),
        ({"quantiles": np.zeros((24, 2))}, r"quantiles \(24, 2\) instead of \(24, 5\)"),
        ({"past_ap": np.zeros(3)}, "past_ap"),
        ({"event_probability": np.zeros((3, 2))}, "event_probability"),
        ({"drivers": {"speed": np.zeros(2)}}, r"drivers\[speed\]"),
    ],
)
def test_arrays_of_an_example_share_their_axes(example, change, named):
    with pytest.raises(SpecError, match="must share their axes.*" + named):
        replace(example, **change)


def test_an_input_newer_than_the_issue_time_is_refused(example):
    with pytest.raises(SpecError, match="no input is newer than the issue time"):
        replace(example, last_input_time=example.issue_time + 1)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("images", (2, 3, 8, 8)), ("frames", (1, 4, 8, 8)), ("profile", (5,)), ("solar_wind", (6, 4))],
)
def test_arrays_of_an_explanation_fit_its_record(inputs, explanations, name, shape):
    record, arrays = explanations[0]
    wrong = ((record, {**arrays, name: np.zeros(shape)}),)
    with pytest.raises(SpecError, match=f"'integrated_gradients' must fit.*{name}"):
        inputs(explanations=wrong)


def test_the_forecaster_is_the_named_system_else_the_trained_run(inputs):
    assert inputs().forecaster == "forecaster"
    assert inputs(system="other").forecaster == "other"
    assert inputs(trained=None).forecaster == ""
