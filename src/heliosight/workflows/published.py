"""A published forecaster: a folder in the Hugging Face layout, written whole and read strictly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import heliosight
from heliosight.core.config import build, dump
from heliosight.core.errors import HeliosightError, RecordError
from heliosight.core.files import folder_in_making, is_sealed, read_json, verify, write_json
from heliosight.core.spec import ForecastSpec
from heliosight.core.tables import Moments
from heliosight.models import Forecaster, ForecasterConfig, build_forecaster
from heliosight.models.forecaster import TARGET
from heliosight.training import load_weights, weights_bytes

CONFIG, WEIGHTS, CARD, DATA_CARD = "config.json", "model.safetensors", "README.md", "DATA_CARD.md"
FORMAT, VERSION = "heliosight-forecaster", 1


@dataclass(frozen=True)
class PublishedConfig:
    """What `config.json` holds: enough to build the model before its weights are read.

    Attributes
    ----------
    spec : inputs and leads; model : architecture.
    levels : probability levels of the quantiles.
    warn_from : `(D, G)` probability of a storm day from which on one warns, chosen before the test.
    trained_until : end of the span it has learned from, ISO 8601, UTC.
    """

    spec: ForecastSpec
    model: ForecasterConfig
    name: str = ""
    system: str = ""
    trained_until: str = ""
    warn_from: tuple[tuple[float, ...], ...] = ()
    model_type: str = FORMAT
    format_version: int = VERSION
    heliosight_version: str = heliosight.__version__


def write_published(
    folder: Path, model: Forecaster, config: PublishedConfig, card: str, data_card: str
) -> None:
    """Write weights, config and cards as one sealed folder, whole or not at all.

    Raises
    ------
    RecordError : something else lies there, be it a finished folder of ours.
    """
    if is_sealed(folder) and not (folder / WEIGHTS).is_file():
        raise RecordError(
            "a published model replaces nothing but a published model", "another finished folder",
            "Set publish.folder to a folder of its own.", str(folder),
        )  # fmt: skip
    with folder_in_making(folder) as making:
        (making / WEIGHTS).write_bytes(weights_bytes(model))
        write_json(making / CONFIG, dump(config))
        (making / CARD).write_text(card, encoding="utf-8")
        (making / DATA_CARD).write_text(data_card, encoding="utf-8")


def load_published(folder: str | Path) -> Forecaster:
    """The forecaster of a published folder, in evaluation mode; no code of the folder is run.

    It takes a `Batch` in physical units (its moments are among its weights) and gives a
    `ModelOutput`; `model.spec` says which windows it wants.

    Raises
    ------
    RecordError : a file is missing, altered or of another version, the weights are of another
        architecture, or the config asks for more than they can fill.
    """
    folder = Path(folder)
    verify(folder)
    config = read_published(folder)
    _require_size(config, folder)
    try:
        model = build_forecaster(config.model, config.spec, _unknown(config.spec))
    except (HeliosightError, RuntimeError, MemoryError) as error:
        raise RecordError(
            "a published config builds its model", str(error), where=str(folder)
        ) from error
    load_weights(model, folder / WEIGHTS)
    return model.eval()


def read_published(folder: Path) -> PublishedConfig:
    """What a published folder says of its model.

    Raises
    ------
    RecordError : another format or version, or a key that does not exist.
    """
    plain = read_json(folder / CONFIG)
    found = (
        (plain.get("model_type"), plain.get("format_version")) if isinstance(plain, dict) else ()
    )
    if found != (FORMAT, VERSION):
        raise RecordError(
            f"this is a {FORMAT} of version {VERSION}", str(found) if found else repr(plain)[:60],
            "Publish it again with this version.", str(folder / CONFIG),
        )  # fmt: skip
    try:
        return build(PublishedConfig, plain, CONFIG)
    except HeliosightError as error:
        raise RecordError(
            "a published config is one of ours", str(error), where=str(folder)
        ) from None


def _require_size(config: PublishedConfig, folder: Path) -> None:
    """Before anything is allocated: every size of a model has its numbers among the weights."""
    most = (folder / WEIGHTS).stat().st_size
    largest = max(_whole_numbers(dump((config.spec, config.model))), default=0)
    if largest > most:
        raise RecordError(
            "a published config is no larger than its weights",
            f"{largest} with weights of {most} bytes", where=str(folder / CONFIG),
        )  # fmt: skip


def _whole_numbers(value: Any) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    inner = value.values() if isinstance(value, Mapping) else value
    if isinstance(inner, Iterable) and not isinstance(inner, str):
        for one in inner:
            yield from _whole_numbers(one)


def _unknown(spec: ForecastSpec) -> dict[str, Moments]:
    """Moments of the right number; the true ones come with the weights."""
    found = {
        name: Moments((0.0,) * len(m.variables), (1.0,) * len(m.variables))
        for name, m in spec.modalities.items()
    }
    return found | {TARGET: Moments((0.0,), (1.0,)), "speed": Moments((0.0,), (1.0,))}
