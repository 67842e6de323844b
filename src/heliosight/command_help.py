"""What `heliosight STAGE --help` and `heliosight STAGE VERB --help` say; texts alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final


@final
@dataclass(frozen=True)
class Help:
    """One command.

    Attributes
    ----------
    usage : what may be typed after the stage's name.
    what : what it does, in a few sentences.
    options : option -> what it does. keys : the config keys that matter most here.
    examples : whole command lines.
    """

    usage: str
    what: str
    options: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    examples: tuple[str, ...] = ()

    def text(self, stage: str, verbs: dict[str, str]) -> str:
        """The help as it is printed."""
        parts = [f"usage: heliosight {stage} {self.usage}".rstrip(), self.what]
        parts += [_listed(name, rows) for name, rows in (
            ("verbs", verbs), ("options", self.options), ("keys", self.keys),
        ) if rows]  # fmt: skip
        if self.examples:
            parts.append("\n".join(["examples", *(f"  heliosight {e}" for e in self.examples)]))
        return "\n\n".join([*parts, "All stages and common options: heliosight --help"])


def _listed(title: str, rows: dict[str, str]) -> str:
    width = max(map(len, rows)) + 2
    return "\n".join([title, *(f"  {name:<{width}}{text}" for name, text in rows.items())])


def help_text(stage: str, verb: str = "") -> str:
    """The help of a stage, or of one of its verbs where that has its own."""
    verbs = {
        name.split()[1]: entry.what.split(". ")[0].rstrip(".")
        for name, entry in HELP.items()
        if name.startswith(f"{stage} ")
    }
    name = f"{stage} {verb}".strip()
    return HELP[name].text(name, {} if verb else verbs)


_MODEL = {
    "--model FILE:BUILD": "your own model: my_package.my_file:build",
    "--checkpoint FILE": "its weights, safetensors or a torch file of tensors",
    "--data DIR": "a folder of event files (HDF5), or a store",
}
_FORCE = {"--force": "make it again even if nothing changed"}
_SOURCE = {
    "data.type": "sun, archives, driven, events, store or fetched",
    "data.folder": "where the files or the store lie",
    "data.latency": "hours after which a source's values count as known, by source",
    "data.cutoff_minutes": "a forecast for a 3-hour mark is made so long after it (30)",
}

HELP = {
    "demo": Help("[key=value ...]", "A small simulated Sun from data to report, in minutes.",
                 _FORCE, {}, ("demo", "demo seed=2")),
    "data": Help(
        "[fetch|build|inspect|card|sun] [key=value ...]",
        "Archives, files or the simulated Sun into one store; without a verb as `build`.",
        _FORCE, _SOURCE,
        ("data fetch --dry-run", "data build data.type=fetched data.folder=archives",
         "data inspect --config-name real"),
    ),
    "data fetch": Help(
        "[--dry-run] [--force] [key=value ...]",
        "Asks the archives for files; the only command that uses the network. What is here is "
        "not asked for again;\na run that was stopped goes on.",
        {"--dry-run": "say what would be asked of which archive, and ask nothing",
         "--force": "ask also for files that are here and fresh"},
        {"fetch.sources": "[omni2,gfz_kp,...]; docs/data.md lists all with traps and licences",
         "fetch.folder": "where files and their ledger go",
         "fetch.start": "and fetch.end: the span, ISO 8601; empty for the last 30 days",
         "fetch.hours": "spacing of images (6)",
         "fetch.per_second": "requests a second to one host (2)",
         "fetch.email": "address registered at JSOC, for its exports",
         "fetch.mirrors": '["host=https://mirror.example"]'},
        ("data fetch --dry-run fetch.sources=[omni2,gfz_kp] fetch.start=2014-01-01",
         "data fetch fetch.sources=[swpc_wind,swpc_mag,swpc_kp,gfz_now,aia_193_nrt] "
         "fetch.folder=live"),
    ),
    "data build": Help(
        "[--force] [key=value ...]",
        "Makes the store of the config under RUN/data. Images are built by UTC day; finished "
        "days are not made again.",
        _FORCE,
        {**_SOURCE, "data.channels": "of images; [] for none", "data.size": "pixels on a side (64)",
         "data.workers": "processes of this machine (2)",
         "data.shard": "i/n: build the share of one of n machines, and no store",
         "data.at": "only what was retrieved by then"},
        ("data build data.type=fetched data.folder=archives data.channels=[aia_193]",
         "data build data.type=fetched data.folder=archives data.shard=0/16"),
    ),
    "data inspect": Help(
        "[key=value ...]",
        "Prints coverage and holes, and writes RUN/data.html with histograms and a contact sheet.",
        {}, {"report.language": "en or ko", **_SOURCE}, ("data inspect --config-name real",),
    ),
    "data card": Help("[key=value ...]", "Writes RUN/DATA_CARD.md: licences, holes, caveats.",
                      {}, _SOURCE, ("data card --config-name real",)),
    "data sun": Help("[--check] [key=value ...]", "Holds the simulated Sun to reality.",
                     {"--check": "compare statistics and draw the page"},
                     {"data.sun.seed": "of the simulated Sun"},
                     ("data sun data.type=sun --check",)),
    "train": Help(
        "[--force] [--score] [key=value ...] [-m]",
        "Trains every system of the config on every walk-forward fold; what is unchanged is kept.",
        {**_FORCE, "--score": "evaluate afterwards"},
        {"systems": "name: [modality, ...]", "split.test_starts": "starts of the test blocks",
         "training.epochs": "how long", "seed": "of weights and batches"},
        ("train --config-name real", "train -m seed=1,2,3"),
    ),
    "evaluate": Help(
        "[--force] [key=value ...]", "Scores forecasts and references on identical rows.",
        _FORCE, {"evaluate.scoring.replicates": "bootstrap draws of 27-day blocks"},
        ("evaluate --config-name real",),
    ),
    "evaluate sweep": Help(
        "[key=value ...]", "Compares the scores of the runs of a sweep.", _FORCE, {},
        ("evaluate sweep",),
    ),
    "publish": Help(
        "[key=value ...]",
        "Writes a trained forecaster as a folder that others can load and judge, with its card.",
        {},
        {"publish.folder": "where to; empty for RUN/published",
         "publish.fold": "which fold, -1 the last", "publish.licence": "under which it is given"},
        ("publish --config-name mine",),
    ),
    "diagnose": Help(
        "[convlstm|fusion|usage] [key=value ...]",
        "Are all inputs and the time axis used? Exit code 1 when a check finds a fault.",
        {**_MODEL, **_FORCE, "--json": "print the record"},
        {"diagnose.checks.level": "quick, standard or full",
         "diagnose.checks.windows": "how many windows", "diagnose.fold": "which fold, -1 the last"},
        ("diagnose", "diagnose fusion", "diagnose --model my_net:build --checkpoint w.pt "
         "--data events"),
    ),
    "diagnose convlstm": Help("[key=value ...]", "Shows the checks of the recurrence.", _MODEL),
    "diagnose fusion": Help("[key=value ...]", "Shows the checks of the fusion.", _MODEL),
    "diagnose usage": Help("[key=value ...]", "Shows which inputs are used.", _MODEL),
    "explain": Help(
        "[--survey] [--score] [key=value ...]",
        "Attributes a forecast to frames and wind, with self-checks; a failed one is shown.",
        {**_MODEL, **_FORCE, "--survey": "one method over many windows",
         "--score": "explanations held to the truth of simulated worlds"},
        {"explain.issue_time": "which window; empty for the strongest storm",
         "explain.method.methods": "[grad_cam, integrated_gradients, ...]"},
        ("explain", "explain explain.issue_time=2015-03-17", "explain --score --config-name score"),
    ),
    "improve": Help(
        "[study] [key=value ...]",
        "Diagnoses, tries remedies in the cheapest sensible order, proves or refutes each.\n"
        "A model of your own is diagnosed and told what to do about each finding; nothing of it "
        "is trained.",
        {**_MODEL, **_FORCE}, {},
        ("improve --config-name ill",
         "improve --config-name mine --model my_net:build --checkpoint w.pt --data events"),
    ),
    "improve study": Help(
        "[--prescriptions DIR] [key=value ...]",
        "Repairs 150 ill and healthy models and counts; some 40 minutes on two cores, resumable.",
        {**_FORCE, "--prescriptions DIR": "count what the healthy models of a finished certificate "
         "would be prescribed, and run nothing"},
        {"improve.study_seeds": "seeds of every fault and world (10)",
         "improve.minutes": "stop after so many minutes; the next run goes on"},
        ("improve study --config-name ill name=repair_study",
         "improve study --prescriptions runs/demo/certify/test"),
    ),
    "report": Help("[key=value ...]", "Writes one self-contained HTML report of the run.",
                   {**_MODEL, **_FORCE},
                   {"report.language": "en or ko", "report.figures": "none or paper"},
                   ("report report.language=ko",)),
    "forecast": Help(
        "[verify] [--at TIME | --from TIME --to TIME [--every 3h] | --serve] [key=value ...]",
        "Issues a forecast of 24 three-hourly ap values: page, JSON and netCDF in an append-only "
        "archive. A live\none is made before its first interval is over; every other is a hindcast "
        "and is labelled so.",
        {"--at TIME": "issue time (ISO 8601, UTC); only what was available then is used",
         "--from TIME --to TIME": "many hindcasts; --every 3h is their spacing",
         "--serve": "show the archive on this machine's own address, read-only", **_MODEL},
        {"forecast.inputs": "another store to read inputs from, for example a live one",
         "forecast.clock": "true: issue at the present 3-hour mark, however old the inputs",
         "forecast.archive": "folder of issued forecasts",
         "subject.first": "with --model: from here on it has learned nothing; its errors dress it",
         "forecast.port": "where --serve listens (8423); 0 takes a free port",
         "forecast.windows": "validation windows on which a widening is measured"},
        ("forecast --at 2015-03-17T00:00",
         "forecast --config-name mine forecast.inputs=runs/live/data forecast.clock=true",
         "forecast --model my_net:build --checkpoint w.pt --data events subject.first=2020-01-01",
         "forecast --from 2015-03-01 --to 2015-03-31 --every 3h", "forecast verify",
         "forecast --serve"),
    ),
    "forecast verify": Help(
        "[key=value ...]",
        "Scores archived forecasts that have been observed since. One that was scored with "
        "preliminary values\nis scored again when they are definitive; both are kept.",
        {}, {"forecast.inputs": "a store with the observations"}, ("forecast verify",),
    ),
    "verify": Help(
        "[key=value ...]",
        "Opens the sealed test block once: hashes of config, weights and data first, then every "
        "score.",
        {},
        {"verify.start": "and verify.end: the block, after every test block of the split",
         "verify.reopen": "'the reason' for opening it again; it is written down",
         "verify.ledger": "of the seals"},
        ("verify --config-name sealed",),
    ),
    "certify": Help(
        "[--quick] [--half development|test] [key=value ...]",
        "Examines the diagnosis itself on models of known health; on two cores half an hour for a "
        "half, half a minute for --quick.",
        {"--quick": "a few models on a short Sun", "--half HALF": "test is run once a release"},
        {"certify.only": "faults by name, [F6, H3]", "certify.workers": "processes"},
        ("certify --quick",),
    ),
    "config": Help("[show|validate] [key=value ...]", "Shows or checks a config.",
                   {"--json": "print it as JSON"}, {}, ("config show --config-name real",)),
    "config show": Help("[key=value ...]", "Prints the resolved config."),
    "config validate": Help("[key=value ...]", "Checks every key; exit code 2 if one is wrong."),
}  # fmt: skip
