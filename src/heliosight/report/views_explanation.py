"""Explanations prepared for the page: film strips, signed overlays, profiles, failed checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np
from markupsafe import Markup

from heliosight.core.records import Explanation, SelfCheck
from heliosight.core.spec import ModalitySpec
from heliosight.report import chart_attribution as charts
from heliosight.report.chart_structures import outlines, structure_chart
from heliosight.report.chart_windows import (
    disc_map,
    importance_chart,
    label_family,
    sun_map,
    survey_profile,
)
from heliosight.report.colours import common_scale
from heliosight.report.images import data_uri, grey_strips, overlay_strips, strip
from heliosight.report.inputs import ReportInputs
from heliosight.report.wording import Words


@final
@dataclass
class Sprites:
    """Film strips by CSS name, each held once however many explanations show it."""

    uris: dict[str, str] = field(default_factory=dict)

    def add(self, uri: str) -> str:
        """The CSS name of a strip."""
        for name, known in self.uris.items():
            if known == uri:
                return name
        name = f"--strip-{len(self.uris)}"
        self.uris[name] = uri
        return name


@final
@dataclass(frozen=True)
class ChannelView:
    """One channel's film: names of its picture strip and of its overlay strip, if it has them."""

    name: str
    picture: str
    overlay: str
    own_map: bool


@final
@dataclass(frozen=True)
class ExplanationView:
    """One explanation as the template shows it."""

    record: Explanation
    channels: tuple[ChannelView, ...]
    hours: tuple[float, ...]
    failed: tuple[SelfCheck, ...]
    scale: float
    beyond: float
    bar: Markup | None
    profile: Markup | None
    own_profile: bool
    series: tuple[tuple[str, Markup], ...]
    sums: tuple[tuple[str, float], ...]
    structures: Markup | None
    outlines: str


def explanation_views(
    inputs: ReportInputs, sprites: Sprites, words: Words, stamp: str
) -> list[ExplanationView]:
    """One view per explanation, in the order given."""
    modalities = inputs.spec.modalities if inputs.spec else {}
    return [_view(e, a, modalities, sprites, words, stamp) for e, a in inputs.explanations]


def _view(
    record: Explanation, arrays: Mapping[str, np.ndarray],
    modalities: Mapping[str, ModalitySpec], sprites: Sprites, words: Words, stamp: str,
) -> ExplanationView:  # fmt: skip
    shown = arrays.get("channel_maps", arrays.get("images"))
    maps = charts.as_channels(shown) if shown is not None else None
    scale = common_scale(maps) if maps is not None else 0.0
    beyond = float(np.mean(np.abs(maps) > scale)) if maps is not None and scale else 0.0
    series = charts.series_of(arrays, modalities)
    failed = tuple(check for check in record.checks if not check.passed)
    stamp = " · ".join(s for s in (stamp, words("failed_short") if failed else "") if s)
    span = charts.time_span(record, [(len(a), modalities.get(k)) for k, a in series.items()])
    return ExplanationView(
        record,
        _channels(record, arrays, maps, scale, sprites),
        tuple(charts.hours_before(record).tolist()),
        failed,
        scale,
        beyond,
        charts.colour_bar(scale, record.units, words) if maps is not None else None,
        charts.profile_chart(record, arrays, span, words, stamp),
        "profile" in arrays,
        tuple(
            (k, charts.series_chart(k, a, modalities.get(k), record, span, words, stamp))
            for k, a in series.items()
        ),
        tuple(charts.channel_sums(record, shown)) if shown is not None else (),
        structure_chart(record, arrays, span, words, stamp),
        _outlines(arrays, sprites),
    )


def _outlines(arrays: Mapping[str, np.ndarray], sprites: Sprites) -> str:
    """The strip of structures' edges, empty without any."""
    labels = arrays.get("structures")
    if labels is None or not labels.any():
        return ""
    return sprites.add(data_uri(strip(outlines(labels))))


def _channels(
    record: Explanation, arrays: Mapping[str, np.ndarray], maps: np.ndarray | None, scale: float,
    sprites: Sprites,
) -> tuple[ChannelView, ...]:  # fmt: skip
    pictures = _pictures(arrays, sprites)
    overlays = [sprites.add(u) for u in overlay_strips(maps, scale)] if maps is not None else []
    shared = len(overlays) == 1 and len(record.channels) > 1
    overlays = overlays * len(record.channels) if shared else overlays
    return tuple(
        ChannelView(name, _at(pictures, c), _at(overlays, c), not shared)
        for c, name in enumerate(record.channels)
    )


def _pictures(arrays: Mapping[str, np.ndarray], sprites: Sprites) -> list[str]:
    if "frames" not in arrays:
        return []
    frames = arrays["frames"]
    return [sprites.add(u) for u in grey_strips(frames[None] if frames.ndim == 3 else frames)]


def _at(names: list[str], place: int) -> str:
    return names[place] if place < len(names) else ""


def _group(words: Words, family: str, label: str) -> str:
    """`images -28..-22` by the word for the modality; other labels by their family's."""
    name, _, span = label.partition(" ")
    return f"{words.name('modality', name)} {span}" if span else words.name(family, label)


@final
@dataclass(frozen=True)
class ManyWindows:
    """What is known beyond the one window: importance charts with how, and the survey's charts."""

    importance: tuple[tuple[str, Markup, str], ...]
    survey: tuple[Markup, ...]


def many_windows(inputs: ReportInputs, words: Words, stamp: str) -> ManyWindows:
    """Importance of modalities, channels and variables, and the survey where it was made."""
    modalities = inputs.spec.modalities if inputs.spec else {}
    bars = []
    for profile in inputs.importance:
        name = profile["name"]
        if name.endswith(" steps"):
            continue
        family = label_family(name, modalities)
        names = [_group(words, family, label) for label in profile["labels"]]
        bars.append((name, importance_chart(profile, names, words, stamp), profile["how"]))
    drawn: tuple[Markup, ...] = ()
    if inputs.survey is not None:
        record, arrays = inputs.survey
        drawn = (
            survey_profile(record, arrays, words, stamp),
            disc_map(arrays, words, stamp),
            sun_map(arrays, words, stamp),
        )
    return ManyWindows(tuple(bars), drawn)
