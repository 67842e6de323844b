"""Arguments only; every heavy import happens inside a command."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STAGES = {
    "demo": "simulate a small Sun, train, score, diagnose, explain, report",
    "data": "`data fetch` asks the archives, `data build` makes the store, `data inspect` shows it",
    "train": "train the forecaster on each walk-forward fold (`--score`: then evaluate)",
    "evaluate": "score forecasts and references on identical rows",
    "diagnose": "are all inputs and the time axis used? (`diagnose convlstm|fusion|usage`: a part)",
    "explain": "attribute a forecast to frames and wind (`--survey`, `--score`: against truth)",
    "improve": "diagnose, try remedies in the cheapest sensible order, prove or refute each",
    "report": "write one self-contained HTML report",
    "publish": "write a trained forecaster as a folder that others can load, with its card",
    "forecast": "issue a forecast from the newest data (`--at TIME`: from what was known then)",
    "verify": "open the sealed test block once: hashes first, then every score",
    "certify": "examine the diagnosis itself on models of known health (`--quick`, `--half test`)",
    "config": "`config show` prints a resolved config, `config validate` checks it",
}
VERBS = {
    "data": ("fetch", "build", "inspect", "card", "sun"),
    "diagnose": ("convlstm", "fusion", "usage"),
    "evaluate": ("sweep",),
    "improve": ("study",),
    "config": ("show", "validate"),
    "forecast": ("verify",),
}
FLAGS = (
    "--json", "--check", "--force", "--score", "--survey", "--serve", "--dry-run", "--quick",
)  # fmt: skip
# Options that take a value and stand for a config key.
OPTIONS = {
    "--model": "subject.model",
    "--checkpoint": "subject.checkpoint",
    "--data": "data",
    "--at": "forecast.at",
    "--from": "forecast.since",
    "--to": "forecast.until",
    "--every": "forecast.every_hours",
    "--half": "certify.half",
    "--prescriptions": "improve.certified",
}
OF_A_MODEL = ("diagnose", "explain", "improve", "report", "forecast", "config")
HYDRA_OPTIONS = ("--config-path", "--multirun", "--cfg", "--resolve", "--package", "--info")
CONFIG_OPTIONS = ("--config-name", "-cn", "--config-dir", "-cd")
KNOWN = (*FLAGS, *OPTIONS, *CONFIG_OPTIONS, *HYDRA_OPTIONS, "--help")
DEFAULT_CONFIG = "demo"
SWEEP_DIR = "runs"
OK, FAULT, MISUSE = 0, 1, 2

USAGE = """heliosight: forecast geomagnetic activity, and prove that the model uses its inputs.

usage: heliosight STAGE [--config-dir DIR] [--config-name NAME] [key=value ...] [-m]

stages
{stages}

options
  --config-name NAME  a shipped config ({configs}) or one of yours; default {default}
  --config-dir DIR    where your own YAML lies (./configs is found by itself)
  key=value           change one key, for example seed=1 or training.batch_size=16
  -m                  a sweep: key=1,2,3 runs once per value; `evaluate sweep` makes one table of it
  --model FILE:BUILD  diagnose, explain, improve, report, forecast: your own my_file:build
  --checkpoint FILE   its weights, safetensors or a torch file of tensors
  --data DIR          a folder of event files (HDF5), or a store
  --json              print the stage's record on standard output
  --force             make it again even if nothing changed
  --at TIME           forecast: issue time (ISO 8601, UTC); --from TIME --to TIME [--every 3h]: many
  --serve             forecast: show the issued forecasts on this machine's own address, read-only
  --half HALF         certify: development (default), or test, which is run once a release
  --prescriptions DIR improve study: count what a certificate's healthy models would be prescribed
  --quick             certify: a few models on a short Sun, in seconds
  --dry-run           data fetch: say what would be asked of which archive, and ask nothing

heliosight STAGE --help tells more of each stage.

exit codes: 0 fine, 1 a check found a fault, 2 usage, config or input error"""


class JobEnded(Exception):
    """A job of a sweep that found a fault or could not run, told to the process that started it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Request:
    """What was typed, taken apart; `words` are all of it, in order."""

    stage: str
    verb: str = ""
    flags: tuple[str, ...] = ()
    hydra: tuple[str, ...] = field(default_factory=tuple)
    words: tuple[str, ...] = ()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one stage; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(usage() + "\n")
        return OK if words else MISUSE
    if words[0] == "--version":
        from heliosight import __version__

        sys.stdout.write(f"heliosight {__version__}\n")
        return OK
    problem = _misuse(words[0], words[1:])
    if problem:
        sys.stderr.write(problem + "\n")
        return MISUSE
    if "--help" in words or "-h" in words:
        from heliosight.command_help import help_text

        verb = next((word for word in words[1:] if word in VERBS.get(words[0], ())), "")
        sys.stdout.write(help_text(words[0], verb) + "\n")
        return OK
    return _through_hydra(parse(words))


def usage() -> str:
    """The help text."""
    stages = "\n".join(f"  {name:<10}{what}" for name, what in STAGES.items())
    folder = Path(__file__).parent / "conf"
    configs = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
    return USAGE.format(stages=stages, configs=configs, default=DEFAULT_CONFIG)


def parse(words: Sequence[str]) -> Request:
    """Split the words after `heliosight` into stage, verb, our flags and what Hydra reads."""
    stage, flags = words[0], tuple(word for word in words[1:] if word in FLAGS)
    rest = _without_options([word for word in words[1:] if word not in FLAGS])
    place = _verb_place(rest, VERBS.get(stage, ()))
    verb = "" if place is None else rest.pop(place)
    hydra = tuple(_override(word) for word in rest)
    if not any(word.startswith("--config-dir") or word == "-cd" for word in hydra):
        own = Path("configs")
        hydra += ("--config-dir", str(own.resolve())) if own.is_dir() else ()
    return Request(stage, verb, flags, hydra, tuple(words))


def _verb_place(words: Sequence[str], verbs: Sequence[str]) -> int | None:
    """Where a verb stands; a config may have a verb's name."""
    before = ["", *words]
    places = (
        k for k, word in enumerate(words) if word in verbs and before[k] not in CONFIG_OPTIONS
    )
    return next(places, None)


def _without_options(words: Sequence[str]) -> list[str]:
    """`--model X` and its like as overrides; `--model=X` is the same."""
    found, waiting = [], ""
    for word in words:
        name, equals, value = word.partition("=")
        if waiting:
            found += _set(waiting, word)
            waiting = ""
        elif name in OPTIONS and equals:
            found += _set(name, value)
        elif name in OPTIONS:
            waiting = name
        else:
            found.append(word)
    return [*found, waiting] if waiting else found  # an option without a value is Hydra's to refuse


def _set(option: str, value: str) -> list[str]:
    if option == "--data":
        kind = "store" if (Path(value) / "manifest.json").is_file() else "events"
        return [f"data.type={kind}", f"data.folder={_quoted(value)}"]
    if option == "--every":
        return [f"{OPTIONS[option]}={value.removesuffix('h')}"]
    return [f"{OPTIONS[option]}={_quoted(value)}"]


def _quoted(value: str) -> str:
    """A value as Hydra reads it back, whatever it holds: a backslash counts before a quote only."""
    escaped = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + (r"\'" if m[2] else ""), value)
    return f"'{escaped}'"


def _readable(word: str) -> str:
    """An override; a value that Hydra's grammar cannot read, as a path may be, as a text."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, equals, value = word.partition("=")
    if not equals or word.startswith("-"):
        return word
    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        return f"{key}={_quoted(value)}" if value[:1] not in "'\"[{" else word
    return word


def _in_order(words: Sequence[str]) -> list[str]:
    """Options before overrides: Hydra's parser takes no option between two overrides."""
    overrides = [w for w in words if "=" in w and not w.startswith("-")]
    return [w for w in words if w not in overrides] + overrides


def _override(word: str) -> str:
    """A plain `key=value` may also name a key that the YAML leaves at its default.

    Hydra would ask for a `+`; whether a key exists is for the strict loader to say, which knows.
    """
    plain = re.match(r"(?!hydra[./])[A-Za-z_][\w.]*=", word)
    return f"++{word}" if plain else word


def _other_kind(plain: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """Drop what the YAML says of a kind of data that `data.type=...` has just replaced."""
    given = {w.removeprefix("++").split("=")[0] for w in words if w.startswith("++data.")}
    if "data.type" not in given:
        return plain
    kept = {name.split(".")[1] for name in given}
    return {**plain, "data": {k: v for k, v in plain["data"].items() if k in kept}}


def _borrowed(plain: dict[str, Any], config: str) -> str:
    """A warning when a user's config runs under the name, so in the folder, of one that ships."""
    name, shipped = plain.get("name"), Path(__file__).parent / "conf"
    borrowed = name != config and (shipped / f"{name}.yaml").is_file()
    if not borrowed or (shipped / f"{config}.yaml").is_file() or plain.get("run_dir"):
        return ""
    return (
        f"{config}.yaml has no name of its own: records go to runs/{name}. Add `name: {config}`.\n"
    )


def _misuse(stage: str, words: Sequence[str]) -> str:
    names = [word.split("=")[0] for word in words if word.startswith("--")]
    if stage in STAGES:
        unknown = [name for name in names if name not in KNOWN]
        if unknown:
            close = difflib.get_close_matches(unknown[0], KNOWN, n=1, cutoff=0.0)
            return f"an option must exist. Found: {unknown[0]!r}. Nearest: {close[0]!r}."
        if "--model" in names and stage not in OF_A_MODEL:
            return (
                f"--model goes with {', '.join(OF_A_MODEL)}. Found: {stage}, which looks at the "
                "systems of the config."
            )
        return ""
    close = difflib.get_close_matches(stage, STAGES, n=1, cutoff=0.0)
    return f"a stage must exist. Found: {stage!r}. Nearest: {close[0]!r}. See heliosight --help."


def _through_hydra(request: Request) -> int:
    """Let Hydra compose the config, then hand plain mappings to the stage."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    codes = []

    @hydra.main(version_base=None, config_path="pkg://heliosight.conf", config_name=DEFAULT_CONFIG)
    def job(composed: Any) -> None:
        from heliosight.workflows.entry import run

        plain = _other_kind(OmegaConf.to_container(composed, resolve=True), request.hydra)
        now = HydraConfig.get()
        sys.stderr.write(_borrowed(plain, str(now.job.config_name)))
        sweep = now.job.override_dirname if now.mode == RunMode.MULTIRUN else ""
        given = [word.lstrip("+").split("=")[0] for word in now.overrides.task]
        code = run(request.stage, request.verb, request.flags, plain, sweep, _typed(request), given)
        codes.append(code)
        if sweep and code:  # a job may run elsewhere: what it raises is all that comes back
            raise JobEnded(code)

    before = sys.argv
    typed = [_readable(word) for word in request.hydra]
    sys.argv = [before[0], *_in_order((*_quiet_hydra(), *typed))]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # lets its exceptions reach the lines below
    try:
        with _files_leave_hydra_alone(typed), _nothing_of_hydra_left():
            job()
    except (HydraException, OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        sys.stderr.write(_explain(error) + "\n")
        return MISUSE
    except JobEnded as job_ended:
        codes.append(job_ended.code)
    except SystemExit as leave:
        return MISUSE if leave.code else OK
    finally:
        sys.argv = before
    return max(codes, default=OK)


@contextmanager
def _nothing_of_hydra_left() -> Iterator[None]:
    """A sweep's jobs say in `job.json` what they are; Hydra's own note of it goes again."""
    note = Path(SWEEP_DIR) / "multirun.yaml"
    was_there = note.exists()
    try:
        yield
    finally:
        if not was_there:
            note.unlink(missing_ok=True)


@contextmanager
def _files_leave_hydra_alone(typed: Sequence[str]) -> Iterator[None]:
    """Only what was typed may set up Hydra: its callbacks, launchers and logging name code to run.

    Refused while files are read, before Hydra acts on any of it; so is `hydra.searchpath`. What a
    file sweeps over gives way to a typed value of the same key: Hydra would multiply the two.
    """
    from hydra._internal.config_loader_impl import ConfigLoaderImpl as Loader
    from hydra._internal.config_repository import ConfigRepository as Files

    keys = [word.lstrip("+").split("=")[0] for word in typed]
    read, place = Files.load_config, Loader._load_single_config

    def checked_read(self: Any, config_path: str) -> Any:
        return _without_hydra(read(self, config_path), keys)

    def checked_place(self: Any, default: Any, repo: Any) -> Any:
        return _without_hydra(place(self, default, repo), keys)

    Files.load_config, Loader._load_single_config = checked_read, checked_place
    try:
        yield
    finally:
        Files.load_config, Loader._load_single_config = read, place


def _without_hydra(found: Any, typed: Sequence[str]) -> Any:
    """What a file holds, as written and where a defaults list puts it, less what is typed too.

    Hydra's own files may set all of Hydra, others the mode and what a sweep varies.
    """
    from hydra.errors import ConfigCompositionException

    foreign = found is not None and not found.path.startswith(("pkg://hydra.", "structured:"))
    if foreign and not _is_harmless(found.config.get("hydra", {})):
        raise ConfigCompositionException(
            "a file sets more of `hydra` than `mode` and `sweeper.params`, which may start "
            "programs. Remove it there, or type what you need of it on the command line"
        )
    if foreign and "hydra" in found.config:
        _drop_varied(found.config.hydra, typed)
    return found


def _drop_varied(hydra: Any, typed: Sequence[str]) -> None:
    """A file's sweep without the keys that were typed."""
    from omegaconf import open_dict

    varied = hydra.get("sweeper", {}).get("params", {})
    for key in set(varied) & set(typed):
        with open_dict(varied):
            varied.pop(key)


def _is_harmless(hydra: Any) -> bool:
    try:
        sweeper = hydra.get("sweeper", {})
        names = [*hydra, *(f"sweeper.{name}" for name in sweeper)]
        varied = list(sweeper.get("params", {}))
    except (AttributeError, TypeError):  # no mappings at all
        return False
    known = all(name in ("mode", "sweeper", "sweeper.params") for name in names)
    return known and not any("hydra" in name for name in varied)


def _typed(request: Request) -> str:
    """The command line for records and to be typed again, without the e-mail that JSOC wants."""
    hidden = [re.sub(r"(fetch\.email=).*", r"\1(e-mail)", word) for word in request.words]
    return shlex.join(["heliosight", *hidden])


def _quiet_hydra() -> tuple[str, ...]:
    """Hydra writes no folders and no logs of its own; runs belong to their run directory."""
    return (
        "hydra.output_subdir=null",
        "hydra.run.dir=.",
        f"hydra.sweep.dir={SWEEP_DIR}",
        "hydra.sweep.subdir=.",
        "hydra.job.config.override_dirname.exclude_keys=[run_dir]",  # it holds the jobs' folders
        "hydra/job_logging=none",
        "hydra/hydra_logging=none",
    )


def _explain(error: Exception) -> str:
    """A composition error with the nearest valid key or config."""
    text = str(error).strip()
    missing = re.search(r"Cannot find primary config '([^']+)'", text)
    if missing:
        folders = (Path(__file__).parent / "conf", Path("configs"))
        known = [p.stem for folder in folders for p in folder.glob("*.yaml")]
        close = difflib.get_close_matches(missing.group(1), known, n=1, cutoff=0.0)
        return (
            f"a config must exist. Found: {missing.group(1)!r}. Nearest: {close[0]!r}. "
            "Give --config-dir for your own."
        )
    return f"a config must compose. Found: {text}"
