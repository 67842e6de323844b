"""From a plain mapping to a stage, and from its result to text, JSON and an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from heliosight.core.config import dump
from heliosight.core.errors import HeliosightError
from heliosight.core.kinds import without_other_kinds
from heliosight.workflows.config import AppConfig, app_config
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.sweep import job_folder

OK, FAULT, MISUSE = 0, 1, 2
Stage = Callable[[Run, str], StageResult]


def run(
    stage: str,
    verb: str,
    flags: Sequence[str],
    plain: Mapping[str, Any],
    sweep: str = "",
    command: str = "",
    given: Sequence[str] = (),
) -> int:
    """Run one stage on one composed config; returns the exit code.

    sweep : the overrides of this job of a sweep, which name its own run directory.
    given : the keys that were typed or that a sweep varies.
    """
    try:
        plain, left_out = without_other_kinds(AppConfig, plain, given)
        sys.stderr.write("".join(f"{line}\n" for line in left_out))
        config = app_config(plain)
        if stage == "config":
            return _config(config, verb, "--json" in flags)
        folder = Path(config.run_dir or f"runs/{config.name}")
        folder = job_folder(folder, sweep) if sweep else folder
        torch.set_num_threads(config.threads)
        result = _stage(stage)(Run(config, folder, command, "--force" in flags, tuple(flags)), verb)
    except HeliosightError as error:
        sys.stderr.write(f"{error}\n")
        return MISUSE
    except OSError as error:
        again = "What was finished is kept: mend this and run the same command again."
        sys.stderr.write(f"a file or folder could not be used. Found: {error}. {again}\n")
        return MISUSE
    _say(result, "--json" in flags)
    return FAULT if result.fault else OK


def _stage(name: str) -> Stage:
    """Find the stage's function; importing it is what costs seconds, so only the one asked for."""
    stage: Stage = import_module(f"heliosight.workflows.{name}").run
    return stage


def _config(config: AppConfig, verb: str, as_json: bool) -> int:
    if verb == "validate":
        sys.stdout.write(f"config {config.name}: valid\n")
        return OK
    if as_json:
        sys.stdout.write(json.dumps(dump(config), indent=1) + "\n")
        return OK
    from omegaconf import OmegaConf

    sys.stdout.write(OmegaConf.to_yaml(OmegaConf.create(dump(config))))
    return OK


def _say(result: StageResult, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(dump(result.record), indent=1, allow_nan=False) + "\n")
        return
    sys.stdout.write("".join(f"{line}\n" for line in result.lines))
