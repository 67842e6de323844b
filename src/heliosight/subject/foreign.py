"""A subject from a config: somebody else's builder, checkpoint, inputs, output and parts."""

from __future__ import annotations

import difflib
import inspect
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from heliosight.core.batch import Batch
from heliosight.core.errors import SubjectError
from heliosight.core.files import digest, sha256
from heliosight.core.spec import ForecastSpec
from heliosight.subject.arguments import guess_arguments
from heliosight.subject.building import built_from_path
from heliosight.subject.config import SubjectConfig
from heliosight.subject.loading import load_checkpoint, load_into
from heliosight.subject.output import output_of
from heliosight.subject.wrap import Subject, wrap

ROLE = re.compile(r"(encoder\.\w+|(cell|rnn|attention)\.\w+\.\d+|fusion|head|gate(\.\w+)?)$")


def subject_from(
    config: SubjectConfig, spec: ForecastSpec, example: Batch | None = None
) -> Subject:
    """The subject a config describes, with its checkpoint's weights.

    Parameters
    ----------
    spec : the run's modalities; leads are the config's.
    example : real windows, to tell the parts with.

    Raises
    ------
    SubjectError : see `build_from_path`, `guess_arguments`; a role or path that matches nothing.
    """
    spec = replace(spec, leads=config.leads, lead_hours=config.lead_hours)
    built = built_from_path(config.model)
    module = built.module if isinstance(built, Subject) else built
    if config.checkpoint:
        load_into(module, load_checkpoint(config.checkpoint), where=config.checkpoint)
    subject = built if isinstance(built, Subject) else _wrapped(module, config, spec, example)
    return _with_roles(subject, config) if config.roles else subject


def _wrapped(
    module: nn.Module, config: SubjectConfig, spec: ForecastSpec, example: Batch | None
) -> Subject:
    return wrap(
        module,
        spec,
        inputs=config.arguments or guess_arguments(module, spec, config.scaling),
        scaling=config.scaling,
        output=output_of(config.output, spec.leads),
        name=config.name,
        example=example,
    )


def _with_roles(subject: Subject, config: SubjectConfig) -> Subject:
    """The same subject with some roles named by the config, over those guessed."""
    parts = dict(subject.parts)
    for role, path in config.roles.items():
        if not ROLE.match(role):
            raise SubjectError(
                "a role is encoder.M, cell.M.0, rnn.M.0, attention.M.0, fusion, gate or head",
                repr(role),
                f"M is one of: {', '.join(subject.spec.modalities)}, or fusion.",
                "subject.parts",
            )
        parts.pop(role, None)
        if path:
            parts[role] = _module_at(subject.module, path, role)
    return subject.with_parts(parts)


def _module_at(module: nn.Module, path: str, role: str) -> nn.Module:
    known = dict(module.named_modules())
    if path not in known:
        close = difflib.get_close_matches(path, [n for n in known if n], n=3, cutoff=0.0)
        raise SubjectError(
            "a part is a path inside the model",
            repr(path),
            f"Nearest: {', '.join(close) or 'it has no submodules'}.",
            f"subject.parts.{role}",
        )
    return known[path]


def model_hash(config: SubjectConfig, subject: Subject) -> str:
    """What a record about a foreign model depends on: config, checkpoint, weights, its source."""
    return digest(
        [
            config,
            sha256(Path(config.checkpoint)) if config.checkpoint else "",
            str(subject.module),
            {name: _content(tensor) for name, tensor in subject.module.state_dict().items()},
            sorted(_sources(subject.module)),
        ]
    )


def _content(tensor: Any) -> str:
    flat = tensor.detach().cpu().double().flatten()
    return f"{tuple(tensor.shape)} {float(flat.sum()):.17g} {float(flat.abs().sum()):.17g}"


def _sources(module: nn.Module) -> set[str]:
    """Hashes of the files that define the module's own classes."""
    found = set()
    for cls in {type(part) for part in module.modules()}:
        try:
            source = inspect.getsourcefile(cls)
        except TypeError:
            source = None
        if source and not cls.__module__.startswith("torch."):
            found.add(sha256(Path(source)))
    return found
