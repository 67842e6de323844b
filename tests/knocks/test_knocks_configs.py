"""A config from a stranger is data: it starts no program and leads to no place of its choice."""

import json
import os
from pathlib import Path

import pytest

from heliosight.cli import main
from heliosight.core import records
from heliosight.core.errors import RecordError
from heliosight.core.files import folder_in_making
from heliosight.data.store import save_store

CALLBACK = '{callbacks: {evil: {_target_: os.mkdir, path: "%s"}}}'
HANDLER = '{handlers: {evil: {"()": os.mkdir, path: "%s"}}, root: {handlers: [evil]}}'
# What the main file says, and files beside it.
HOSTILE = {
    "callback": ("hydra: " + CALLBACK, {}),
    "job_logging": ("hydra: {job_logging: " + HANDLER + "}", {}),
    "hydra_logging": ("hydra: {hydra_logging: " + HANDLER + "}", {}),
    "launcher": ("hydra: {launcher: {_target_: os.getcwd}}", {}),
    "environment": ("hydra: {job: {env_set: {LD_PRELOAD: /evil.so}}}", {}),
    "searchpath": ('hydra: {searchpath: ["pkg://evil_package"]}', {
        "evil_package/__init__.py": 'import os; os.mkdir("%s")'}),
    "own_launcher": ("defaults: [override hydra/launcher: evil, _self_]", {
        "hydra/launcher/evil.yaml": "_target_: os.getcwd"}),
    "package": ("defaults: [part@hydra: evil, _self_]", {"part/evil.yaml": CALLBACK[1:-1]}),
    "header": ("# @package hydra\n" + CALLBACK[1:-1], {}),
    "global": ("# @package _global_\nhydra: " + CALLBACK, {}),
    "odd": ("hydra: {sweeper: 3}", {}),
    "sweep": ('hydra: {sweeper: {params: {"+hydra.callbacks.evil._target_": os.getcwd}}}', {}),
}  # fmt: skip


def written(folder, text, others, ran):
    for name, content in {"evil.yaml": text, **others}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace("%s", str(ran)))
    return ["--config-dir", str(folder), "--config-name", "evil"]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_file_cannot_make_hydra_run_anything(kind, tmp_path, monkeypatch, capsys):
    ran = tmp_path / "ran"
    config = written(tmp_path / "configs", *HOSTILE[kind], ran)
    monkeypatch.syspath_prepend(str(tmp_path / "configs"))
    before = dict(os.environ)
    for words in (["config", "validate"], ["config", "validate", "seed=1,2", "-m"]):
        assert main([*words, *config]) == 2
        assert "which may start programs" in capsys.readouterr().err
    assert not ran.exists() and os.environ.get("LD_PRELOAD") == before.get("LD_PRELOAD")


def test_what_is_typed_may_set_up_hydra_and_a_file_may_say_what_a_sweep_varies(tmp_path, capsys):
    text = 'name: swept\nseed: 1\nhydra: {mode: MULTIRUN, sweeper: {params: {seed: "1,2"}}}'
    config = written(tmp_path, text, {}, "")
    assert main(["config", "validate", *config, "hydra.verbose=false"]) == 0
    assert capsys.readouterr().out.count("config swept: valid") == 2


@pytest.mark.parametrize(
    "text",
    [
        "data: {_target_: os.mkdir, path: x}", "model: {_target_: os.mkdir}",
        "model: {images: {type: os.mkdir}}", "training: {optimiser: {type: os.mkdir}}",
        "name: ../outside", "name: .hidden", "systems: {../outside: []}",
        "inputs: {../x: {kind: series, table: t, variables: [ap], steps: 1, cadence_hours: 3}}",
        "seed: !!python/object/apply:os.mkdir [x]", "seed: [", "seed: \x00",
    ],
)  # fmt: skip
def test_classes_and_paths_in_a_config_are_refused(text, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = main(["config", "validate", *written(tmp_path, text, {}, "")])
    assert code == 2 and capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["evil.yaml"]


def test_a_folder_of_somebodys_own_is_never_replaced(tmp_path):
    mine = tmp_path / "data" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("three years")
    with pytest.raises(RecordError, match="only a finished folder of ours is replaced"):
        save_store(tmp_path / "data", {}, "store")
    assert mine.read_text() == "three years"
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "data").mkdir()
    with folder_in_making(tmp_path / "data") as folder:
        (folder / "x").write_text("")
    assert (tmp_path / "data" / "x").is_file()


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "a\0b"])
def test_a_manifest_cannot_point_elsewhere(tmp_path, name):
    records.save(tmp_path / "r", records.Diagnosis())
    path = tmp_path / "r" / "manifest.json"
    content = json.loads(path.read_text())
    content["files"][name] = {"bytes": 1, "sha256": "0"}
    path.write_text(json.dumps(content))
    with pytest.raises(RecordError, match="a manifest names files of its own folder"):
        records.load(tmp_path / "r", records.Diagnosis)
    assert Path("/etc/passwd").is_file()
