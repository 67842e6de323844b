"""Patches on a plain config, and their undoing.

A patch maps dotted keys to values. A key may say `@images` or `@series`: inside `model` that is the
encoder of the first modality of this kind, elsewhere the name of its parameter group. A value may
be a rule, a mapping with one key:

- `{"$times": [f, key]}`: f times what the config holds at `key`;
- `{"$without": [kind, ...]}`: the list less its entries of these kinds;
- `{"$every_group": x}`: x for each parameter group;
- `{"$becomes": [type, key, ...]}`: another type, with these keys kept;
- `{"$progressive": rate}`: the image branch alone, then everything else, in the epochs and for the
  cost there are;
- `{"$curriculum": [share, ...]}`: these shares of the frames, one after the other;
- `{"$of": key}`: what the config holds at `key`, which must not be empty;
- `{"$absent": true}`: no such key.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from heliosight.core.errors import ConfigError, NotApplicable

Plain = dict[str, Any]
Patch = Mapping[str, Any]
ABSENT = {"$absent": True}
LEAST_EPOCHS = 3
IMAGE_SHARE = 0.5  # of a progressive training's cost, for the image branch alone
SHORT = 0.18  # of the frames in a short sequence
# Parts of the cost of learning from a whole window, measured on the ill model of `ill.yaml`:
FIXED = 0.4  # what does not fall with the number of frames
READ = 0.7  # a window whose images pass a frozen branch
BATCH = 32


def apply(plain: Mapping[str, Any], patch: Patch) -> tuple[Plain, Plain]:
    """The patched config, and the patch that undoes it; `plain` is left as it is.

    Raises
    ------
    NotApplicable : the config has no such part, or too few epochs for a schedule.
    ConfigError : the patch holds an unknown rule.
    """
    out = copy.deepcopy(dict(plain))
    undo: Plain = {}
    for key, value in patch.items():
        path = _resolved(out, key)
        undo = {".".join(path): _get(out, path), **undo}
        _set(out, path, _valued(out, path, value))
    return out, undo


def changes(plain: Mapping[str, Any], patch: Patch) -> bool:
    """True when the patch fits the config and changes it."""
    try:
        return apply(plain, patch)[0] != dict(plain)
    except NotApplicable:
        return False


def _resolved(plain: Plain, key: str) -> list[str]:
    """The key as a path, with `@images` and `@series` replaced."""
    path: list[str] = []
    for word in key.split("."):
        if not word.startswith("@"):
            path.append(word)
            continue
        name = _modality(plain, word[1:])
        if path[:1] == ["model"]:
            path += ["encoders", name] if name in plain["model"]["encoders"] else [word[1:]]
        else:
            path.append(_encoder(plain, name)["type"])
    return path


def _main(plain: Plain) -> list[str]:
    return list(next(iter(plain["systems"].values()), ()))


def _modality(plain: Plain, kind: str) -> str:
    found = [m for m in _main(plain) if plain["inputs"][m]["kind"] == kind]
    if not found:
        raise NotApplicable(f"this remedy is for {kind}", "the model has none")
    return found[0]


def _encoder(plain: Plain, name: str) -> Plain:
    own: Plain = plain["model"]["encoders"].get(name)
    usual: Plain = plain["model"][plain["inputs"][name]["kind"]]
    return own or usual


def groups(plain: Plain) -> list[str]:
    """Parameter groups of the main system."""
    kinds = dict.fromkeys(_encoder(plain, name)["type"] for name in _main(plain))
    helper = plain["model"]["auxiliary"]
    images = any(plain["inputs"][m]["kind"] == "images" for m in _main(plain))
    extra = ["auxiliary"] if images and (helper["image"] or helper["speed"]) else []
    return [*kinds, "fusion", "head", *extra]


def _get(plain: Plain, path: list[str]) -> Any:
    here: Any = plain
    for word in path[:-1]:
        if not isinstance(here, dict) or word not in here:
            raise NotApplicable("a remedy changes a key the config has", ".".join(path))
        here = here[word]
    if not isinstance(here, dict):
        raise NotApplicable("a remedy changes a key the config has", ".".join(path))
    return copy.deepcopy(here.get(path[-1], ABSENT))


def _set(plain: Plain, path: list[str], value: Any) -> None:
    here: Any = plain
    for word in path[:-1]:
        here = here[word]
    if value == ABSENT:
        here.pop(path[-1], None)
    else:
        here[path[-1]] = value


def _valued(plain: Plain, path: list[str], value: Any) -> Any:
    rule = next(iter(value), "") if isinstance(value, Mapping) and len(value) == 1 else ""
    if not str(rule).startswith("$") or value == ABSENT:
        return copy.deepcopy(value)
    if rule not in _RULES:
        raise ConfigError("a patch holds a known rule", str(rule), f"Known: {', '.join(_RULES)}.")
    return _RULES[str(rule)](plain, path, value[rule])


def _times(plain: Plain, _path: list[str], given: list[Any]) -> Any:
    return given[0] * _get(plain, _resolved(plain, given[1]))


def _without(plain: Plain, path: list[str], kinds: list[str]) -> Any:
    return [item for item in _get(plain, path) if item.get("kind") not in kinds]


def _every_group(plain: Plain, _path: list[str], value: float) -> Any:
    return dict.fromkeys(groups(plain), value)


def _becomes(plain: Plain, path: list[str], given: list[str]) -> Any:
    now = _get(plain, path)
    if now.get("type") == given[0]:
        return now
    return {"type": given[0], **{key: now[key] for key in given[1:] if key in now}}


def _of(plain: Plain, _path: list[str], key: str) -> Any:
    value = _get(plain, _resolved(plain, key))
    if not value:
        raise NotApplicable(f"this remedy needs {key}", "it is empty")
    return value


def _epochs(plain: Plain) -> int:
    training = plain["training"]
    epochs = training["epochs"] or sum(s["epochs"] for s in training["stages"]) or 30
    if epochs < LEAST_EPOCHS:
        raise NotApplicable(f"a schedule needs {LEAST_EPOCHS} epochs", str(epochs))
    return int(epochs)


def _progressive(plain: Plain, _path: list[str], rate: float) -> Any:
    """Two thirds of the epochs for the images through their own heads, then all others.

    Where an epoch is so many windows, the stages get as many as cost the same in all: a short
    sequence costs half of a whole one, and one that passes a frozen image branch 0.7 of it.
    """
    total, images = _epochs(plain), _encoder(plain, _modality(plain, "images"))["type"]
    first = max(1, min(total - 1, round(2 / 3 * total)))
    short = _short_epochs(first)
    windows = (plain["training"].get("epoch_windows") or 0) * total
    whole = first - short + (FIXED + (1 - FIXED) * SHORT) * short
    alone = _batches(IMAGE_SHARE * windows / whole)
    after = _batches((1 - IMAGE_SHARE) * windows / READ / (total - first))
    others = [g for g in groups(plain) if g not in (images, "auxiliary")]
    return [
        {"name": "images", "epochs": first, "groups": [images, "auxiliary"], "rate": rate,
         "main_weight": 0.0, "auxiliary_weight": 1.0, "epoch_windows": alone},
        {"name": "fusion", "epochs": total - first, "groups": others, "auxiliary_weight": 0.0,
         "epoch_windows": after},
    ]  # fmt: skip


def _short_epochs(epochs: int) -> int:
    """Epochs of a stage that see short sequences."""
    return min(epochs - 1, round(2 / 3 * epochs))


def _batches(windows: float) -> int | None:
    """Rounded to whole batches; None where an epoch is every window."""
    return max(BATCH, round(windows / BATCH) * BATCH) if windows else None


def _curriculum(plain: Plain, _path: list[str], shares: list[float]) -> Any:
    """Each length for an equal part of the epochs; in stages, of two thirds of the first's."""
    stages = plain["training"]["stages"]
    frames = plain["inputs"][_modality(plain, "images")]["steps"]
    lengths = sorted({max(1, round(share * frames)) for share in shares} - {frames})
    if stages:
        each = _short_epochs(stages[0]["epochs"]) // len(lengths)
    else:
        each = max(1, _epochs(plain) // (len(lengths) + 2))
    return [{"frames": n, "epochs": each} for n in lengths if each]


_RULES: dict[str, Callable[[Plain, list[str], Any], Any]] = {
    "$times": _times,
    "$without": _without,
    "$every_group": _every_group,
    "$becomes": _becomes,
    "$progressive": _progressive,
    "$curriculum": _curriculum,
    "$of": _of,
}
