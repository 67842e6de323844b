import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliosight.core import config
from heliosight.core.errors import ConfigError
from heliosight.sun import SunConfig


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": "2012-02-01", "end": "2012-01-01"}, "the end comes after the start"),
        ({"start": "2012-01-01", "end": "2012-01-01"}, "the end comes after the start"),
        ({"start": "2012-01-01T01:00:00"}, "3-hour grid"),
        ({"end": "tomorrow"}, "ISO 8601"),
        ({"image_cadence_hours": 5}, "cadence divides a day"),
        ({"image_cadence_hours": 0}, "cadence divides a day"),
        ({"size": 8}, "16 to 1024"),
        ({"redundancy": 1.5}, "redundancy: this dial lies between 0 and 1"),
        ({"image_information": -0.1}, "image_information: this dial"),
        ({"missing": 2.0}, "missing: this dial"),
        ({"noise": 11.0}, "noise: this dial lies between 0 and 10"),
        ({"memory_hours": 500.0}, "memory_hours: this dial"),
        ({"memory_hours": float("nan")}, "memory_hours: this dial"),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_the_rule(change, words):
    with pytest.raises(ConfigError, match=words):
        SunConfig(**change)


@given(st.integers(1, 48))
def test_a_cadence_is_accepted_exactly_when_it_divides_a_day(hours):
    if 24 % hours == 0:
        assert SunConfig(image_cadence_hours=hours).image_cadence_hours == hours
    else:
        with pytest.raises(ConfigError, match="divides a day"):
            SunConfig(image_cadence_hours=hours)


def test_a_config_survives_the_round_trip_through_plain_mappings():
    one = SunConfig(seed=3, redundancy=0.5, static=True)
    assert config.build(SunConfig, config.dump(one)) == one
