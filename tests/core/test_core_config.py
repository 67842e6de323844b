from dataclasses import dataclass, field
from typing import Literal

import pytest

from heliosight.core import config
from heliosight.core.errors import ConfigError


@dataclass(frozen=True)
class Square:
    type: Literal["square"] = "square"
    side: float = 1.0


@dataclass(frozen=True)
class Circle:
    type: Literal["circle"] = "circle"
    radius: float = 1.0


@dataclass(frozen=True)
class Drawing:
    title: str
    shape: Square | Circle = field(default_factory=Square)
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[int, str] = (1, "a")
    notes: dict[str, float] = field(default_factory=dict)
    optional: Square | None = None
    maybe: int | None = None
    mode: Literal["ink", "chalk"] = "ink"
    on: bool = True


def test_a_config_survives_the_round_trip():
    data = {
        "title": "x",
        "shape": {"type": "circle", "radius": 2},
        "sizes": [3, 4],
        "notes": {"a": 1},
        "optional": {"side": 2.5},
        "maybe": 3,
    }
    built = config.build(Drawing, data)
    assert built.shape == Circle(radius=2.0)
    assert built.sizes == (3, 4)
    assert built.notes == {"a": 1.0}
    assert config.build(Drawing, config.dump(built)) == built


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ({"titel": "x"}, r"titel: a config key must exist.*Nearest valid key: 'title'"),
        ({"title": "x", "shape": {"type": "circle", "radios": 1}}, r"shape\.radios.*'radius'"),
        ({"title": "x", "shape": {"type": "cirle"}}, r"shape\.type: `type` names a known kind"),
        ({"title": "x", "shape": 3}, "shape: this key holds a mapping"),
        ({"title": "x", "optional": {"seide": 1}}, r"optional\.seide"),
        ({}, "title: a required key is missing"),
        ({"title": 3}, "title: this key holds str"),
        ({"title": "x", "on": 1}, "on: this key holds bool"),
        ({"title": "x", "maybe": True}, "maybe: a value has one of its key's types"),
        ({"title": "x", "sizes": "12"}, "sizes: this key holds a list"),
        ({"title": "x", "sizes": [1, "a"]}, r"sizes\[1\]: this key holds int"),
        ({"title": "x", "pair": [1]}, "pair: this list has 2 items"),
        ({"title": "x", "notes": [1]}, "notes: this key holds a mapping"),
        ({"title": "x", "mode": "oil"}, "mode: a value is one of its options"),
    ],
)
def test_a_wrong_config_names_path_and_rule(data, match):
    with pytest.raises(ConfigError, match=match):
        config.build(Drawing, data)


def test_a_config_that_is_no_mapping_is_refused():
    with pytest.raises(ConfigError, match="this key holds a mapping"):
        config.build(Drawing, [1])
