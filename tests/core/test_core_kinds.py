from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliosight.core.config import build
from heliosight.core.errors import ConfigError
from heliosight.core.kinds import without_other_kinds


@dataclass(frozen=True)
class Inner:
    depth: int = 1


@dataclass(frozen=True)
class Square:
    type: Literal["square"] = "square"
    side: float = 1.0
    colour: str = "red"
    inner: Inner = field(default_factory=Inner)


@dataclass(frozen=True)
class Circle:
    type: Literal["circle"] = "circle"
    radius: float = 1.0
    colour: str = "red"


@dataclass(frozen=True)
class Drawing:
    shape: Square | Circle = field(default_factory=Square)
    more: dict[str, Square | Circle] = field(default_factory=dict)
    sizes: tuple[int, ...] = (1, 2)


OLD = {"type": "circle", "side": 2.0, "colour": "blue"}


@pytest.mark.parametrize(
    ("data", "path"), [({"shape": OLD}, "shape"), ({"more": {"a": OLD}, "sizes": [3]}, "more.a")]
)
def test_keys_of_the_kind_before_are_left_out_and_shared_ones_stay(data, path):
    kept, left = without_other_kinds(Drawing, data, [f"{path}.type"])
    built = build(Drawing, kept)
    assert built in (
        Drawing(Circle(colour="blue")),
        Drawing(more={"a": Circle(colour="blue")}, sizes=(3,)),
    )
    assert left == [
        f"{path}.side=2.0 of the config is left out: {path}.type=circle has no such key."
    ]


def test_what_was_typed_beside_the_new_type_is_refused_not_dropped():
    kept, left = without_other_kinds(Drawing, {"shape": OLD}, ["shape.type", "shape.side"])
    assert left == []
    with pytest.raises(ConfigError, match=r"shape\.side: a config key must exist"):
        build(Drawing, kept)


def test_a_typed_key_inside_a_part_of_another_kind_is_refused_too():
    data = {"shape": {"type": "circle", "inner": {"depth": 3}}}
    kept, _ = without_other_kinds(Drawing, data, ["shape.type", "shape.inner.depth"])
    with pytest.raises(ConfigError, match=r"shape\.inner: a config key must exist"):
        build(Drawing, kept)


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ({**OLD, "sied": 1}, r"shape\.sied: a config key must exist"),
        ({**OLD, "type": "cirkle"}, "`type` names a known kind"),
    ],
)
def test_a_slip_is_still_refused(shape, match):
    kept, _ = without_other_kinds(Drawing, {"shape": shape}, ["shape.type"])
    with pytest.raises(ConfigError, match=match):
        build(Drawing, kept)


@given(
    st.dictionaries(
        st.sampled_from(["type", "side", "radius", "colour", "other"]),
        st.sampled_from(["square", "circle", 1.0]),
    )
)
def test_without_a_typed_type_nothing_is_touched(shape):
    data = {"shape": shape, "sizes": [1]}
    assert without_other_kinds(Drawing, data, ["shape.side", "sizes"]) == (data, [])
