import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from heliosight import __main__
from heliosight.cli import FLAGS, OPTIONS, STAGES, VERBS, _typed, main, parse, usage
from heliosight.command_help import HELP
from heliosight.core.config import dump
from heliosight.workflows.config import app_config
from heliosight.workflows.config_data import DataConfig

ROOT = Path(__file__).resolve().parents[2]


def test_help_answers_without_torch_or_hydra():
    code = (
        "import sys; from heliosight.cli import main; code = main(['--help']); "
        "sys.exit(code or any(m in sys.modules for m in ('torch', 'hydra', 'numpy')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "heliosight STAGE" in done.stdout


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "heliosight", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("heliosight 0.")


def test_help_names_every_shipped_config():
    for path in (ROOT / "src" / "heliosight" / "conf").glob("*.yaml"):
        assert path.stem in usage()


COMMANDS = [(s, v) for s in STAGES for v in ("", *VERBS.get(s, ()))]


@pytest.mark.parametrize(("stage", "verb"), COMMANDS)
def test_every_command_has_a_help_of_its_own_that_is_true(stage, verb, capsys):
    assert main([stage, *filter(None, [verb]), "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: heliosight {stage} {verb}".rstrip()) and said != usage()
    entry = HELP[f"{stage} {verb}".strip()]
    assert entry.what.splitlines()[0] in said
    known = dump(app_config({}))
    for key in entry.keys:
        place = known
        for part in key.split("."):
            if key.startswith("data.") and part != "data":
                assert any(part in f.__dataclass_fields__ for f in DataConfig.__args__), key
                break
            assert part in place, key
            place = place[part]
    typed = {word for name in entry.options for word in re.findall(r"--[a-z-]+", name)}
    assert typed <= {*FLAGS, *OPTIONS}, typed
    for example in entry.examples:
        request = parse(example.split())
        assert request.stage in STAGES and request.verb in ("", *VERBS.get(request.stage, ()))
    if not verb:
        assert all(f"\n  {v}" in said for v in VERBS.get(stage, ()))


def test_an_e_mail_address_is_not_kept_with_the_command():
    request = parse(["data", "fetch", "fetch.email=me@obs.org", "seed=2"])
    assert _typed(request) == "heliosight data fetch 'fetch.email=(e-mail)' seed=2"


def test_no_stage_is_misuse(capsys):
    assert main([]) == 2
    assert "usage" in capsys.readouterr().out


def test_an_unknown_stage_is_refused_with_the_nearest(capsys):
    assert main(["trian"]) == 2
    assert "Nearest: 'train'" in capsys.readouterr().err


def test_words_are_taken_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = parse(["data", "sun", "--check", "seed=3", "--config-name", "real", "hydra.verbose=1"])
    assert (asked.stage, asked.verb, asked.flags) == ("data", "sun", ("--check",))
    assert asked.hydra == ("++seed=3", "--config-name", "real", "hydra.verbose=1")
    asked = parse(["evaluate", "--config-name", "sweep", "sweep", "--config-dir=x"])
    assert (asked.verb, asked.hydra) == ("sweep", ("--config-name", "sweep", "--config-dir=x"))
    asked = parse(["evaluate", "--config-name", "sweep", "--config-dir=x"])
    assert (asked.verb, asked.hydra) == ("", ("--config-name", "sweep", "--config-dir=x"))
    (tmp_path / "configs").mkdir()
    assert parse(["train"]).hydra == ("--config-dir", str(tmp_path / "configs"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["trainig.epochs=3"], "trainig: a config key must exist.*Nearest valid key: 'training'"),
        (["training.epoch=3"], r"training\.epoch: a config key must exist.*'epochs'"),
        (["training.epochs=many"], r"training\.epochs: a value has one of its key's types"),
        (["--config-name", "reel"], "a config must exist.*Nearest: 'real'"),
        (["training.epochs=[1"], "a config must compose"),
        (["split.stride_hours=4"], "issue times are whole 3-hour intervals apart"),
        (["split.first=soon"], "a time is ISO 8601"),
        (["systems.full=[images,radio]"], r"systems\.full: a system's modality is one of `inputs`"),
        (["name=../x"], "a name is a plain folder name"),
    ],
)
def test_a_wrong_config_is_exit_2_with_the_rule(words, told, capfd):
    assert main(["config", "validate", *words]) == 2
    assert re.search(told, capfd.readouterr().err)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["diagnose", "--checks", "T5"], "an option must exist.*'--checks'.*Nearest: '--check'"),
        (["train", "--scor=1"], "an option must exist.*Nearest: '--score'"),
        (["evaluate", "--model", "a:b"], "--model goes with diagnose, explain.*Found: evaluate"),
    ],
)
def test_an_option_that_does_not_exist_or_fit_is_refused(words, told, capfd):
    assert main(words) == 2
    assert re.search(told, capfd.readouterr().err)


def test_the_nearest_config_may_be_ones_own(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "mine.yaml").write_text("name: mine")
    assert main(["config", "validate", "--config-name", "mien"]) == 2
    assert "Nearest: 'mine'" in capfd.readouterr().err


def test_a_fault_of_our_own_has_an_exit_code_of_its_own(monkeypatch, capsys):
    def breaks():
        raise ZeroDivisionError("here")

    monkeypatch.setattr(__main__, "main", breaks)
    assert __main__.program() == 70
    said = capsys.readouterr().err
    assert "ZeroDivisionError: here" in said and "a fault of heliosight" in said
    monkeypatch.setattr(__main__, "main", lambda: 2)
    assert __main__.program() == 2


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda _: None, "It does not exist"),
        (lambda p: p.mkdir(), "Set data.folder to event files"),
        (lambda p: ((p / "data").mkdir(parents=True), (p / "data/manifest.json").write_text("{}")),
         "The store of a run is .*data"),
    ],
)  # fmt: skip
def test_data_that_is_elsewhere_is_told(tmp_path, capfd, make, told):
    make(tmp_path / "x")
    assert main(["data", "--data", str(tmp_path / "x"), f"run_dir={tmp_path / 'run'}"]) == 2
    assert re.search(f"a folder of event files holds .*{told}", capfd.readouterr().err)


@pytest.mark.parametrize(
    "name", sorted(p.stem for p in (ROOT / "src" / "heliosight" / "conf").glob("*.yaml"))
)
def test_every_shipped_config_is_valid(name, capsys):
    assert main(["config", "validate", "--config-name", name]) == 0
    assert "valid" in capsys.readouterr().out


def test_a_shown_config_is_a_config(capsys, tmp_path):
    assert main(["config", "show", "training.batch_size=16"]) == 0
    (tmp_path / "again.yaml").write_text(capsys.readouterr().out)
    words = ["config", "show", "--json", "--config-dir", str(tmp_path), "--config-name", "again"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["training"]["batch_size"] == 16


@pytest.mark.parametrize(
    ("name", "typed", "warned"),
    [("", [], True), ("name: mine", [], False), ("", ["run_dir=there"], False)],
)
def test_a_config_that_runs_under_the_name_of_a_shipped_one_is_told(
    name, typed, warned, tmp_path, monkeypatch, capsys
):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "mine.yaml").write_text(f"defaults: [demo, _self_]\n{name}\nseed: 2\n")
    monkeypatch.chdir(tmp_path)
    assert main(["config", "validate", "--config-name", "mine", *typed]) == 0
    told = "mine.yaml has no name of its own: records go to runs/demo. Add `name: mine`.\n"
    assert capsys.readouterr().err == (told if warned else "")


def test_another_type_on_the_command_line_leaves_the_old_ones_keys_behind(capsys):
    words = ["config", "show", "--json", "--config-name", "ill", "model.series.type=linear"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["model"]["series"] == {"type": "linear", "features": 16}
    assert "model.series.layers=1 of the config is left out" in said.err
    assert main([*words, "model.series.layers=3"]) == 2
    assert "model.series.layers: a config key must exist" in capsys.readouterr().err


def test_a_sweep_over_types_leaves_their_keys_behind_job_by_job(capsys):
    words = ["config", "show", "-m", "--config-name", "ill", "model.series.type=lstm,linear"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        f"model.series.{key} of the config is left out: model.series.type=linear has no such key."
        for key in ("layers=1", "pooling=attention")
    ]
