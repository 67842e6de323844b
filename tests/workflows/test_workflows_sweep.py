"""A sweep: its exit code wherever its jobs run, and one table of all of them."""

import csv
import multiprocessing
import re
import shutil
from pathlib import Path

import pytest
from hydra._internal.core_plugins import basic_launcher

from heliosight.cli import main
from heliosight.core.files import read_json
from heliosight.core.records import Interval
from heliosight.workflows import evaluate
from heliosight.workflows.sweep import Job, job_folder, overrides_of, table_text, varied

STORE = "data.type=store"
CONFIGS = Path(__file__).parent / "configs"


def words(*more, config="tiny_sweep"):
    return [*more, "--config-dir", str(CONFIGS), "--config-name", config]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A store, then two jobs on it, scored."""
    folder = tmp_path_factory.mktemp("sweep")
    assert main(words("data", f"run_dir={folder}")) == 0
    grid = ("model.series.features=8,16", "inputs.solar_wind.steps=56")
    store = (STORE, f"data.folder={folder / 'data'}")
    made = words("train", "--score", "-m", f"run_dir={folder}", *grid, *store)
    assert main(made) == 0
    return folder


def test_every_job_is_one_row_with_intervals(swept, capsys):
    assert main(words("evaluate", "sweep", f"run_dir={swept}")) == 0
    out = capsys.readouterr().out
    assert "2 of 2 jobs scored" in out and "Do not choose by the test columns" in out
    rows = list(csv.DictReader((swept / "sweep.csv").read_text().splitlines()))
    keys = ("model.series.features",)
    assert {tuple(r[k] for k in keys) for r in rows} == {
        ("8",), ("16",),
    }  # fmt: skip
    losses = [float(r["validation_loss"]) for r in rows]
    assert losses == sorted(losses) and len(set(losses)) == 2
    for row in rows:
        low, value, high = (float(row[f"correlation_day_1{e}"]) for e in ("_low", "", "_high"))
        assert low < value < high
    assert (swept / "sweep.md").read_text().count("\n| ") == 2


def test_references_shared_by_the_jobs_are_those_of_a_job_alone(swept):
    key, known = next(iter(evaluate._MADE.items()))
    job = next(swept.glob("*features=16*"))
    shared = (job / "evaluate/table.md").read_bytes()
    before = read_json(job / "evaluate/record.json")["record"]
    evaluate._MADE.clear()
    again = [f"run_dir={job}", "model.series.features=16", "inputs.solar_wind.steps=56"]
    assert main(words("evaluate", "--force", *again, f"data.folder={swept}/data", STORE)) == 0
    assert evaluate._MADE.keys() == {key} and evaluate._MADE[key] is not known
    assert (job / "evaluate/table.md").read_bytes() == shared
    after = read_json(job / "evaluate/record.json")["record"]
    assert before.pop("provenance") != after.pop("provenance") and before == after


def test_references_are_not_kept_where_no_job_follows(swept, tmp_path):
    (job,) = swept.glob("*features=8*")
    shutil.copytree(job, tmp_path / "run")
    (tmp_path / "run/job.json").unlink()
    more = ["model.series.features=8", "inputs.solar_wind.steps=56", STORE]
    alone = [f"run_dir={tmp_path}/run", f"data.folder={swept}/data", *more]
    assert main(words("evaluate", "--force", *alone)) == 0
    assert not evaluate._MADE


def test_a_job_without_a_score_is_named_and_is_a_fault(swept, capsys):
    job_folder(swept, "++model.series.features=32,++inputs.solar_wind.steps=8")
    try:
        assert main(words("evaluate", "sweep", f"run_dir={swept}")) == 1
        out = capsys.readouterr().out
        assert "not scored: model.series.features=32" in out and "2 of 3 jobs scored" in out
    finally:
        for path in swept.glob("*features=32*"):
            (path / "job.json").unlink()
            path.rmdir()


def test_a_sweep_without_scores_is_refused(tmp_path, capsys):
    assert main(words("evaluate", "sweep", f"run_dir={tmp_path}")) == 2
    assert re.search("a sweep has scored jobs.*0 jobs.*train --score -m", capsys.readouterr().err)


def elsewhere(run_job):
    """Hydra's launcher as one that runs each job in a process of its own."""

    def run(**kwargs):
        context = multiprocessing.get_context("fork")
        receive, send = context.Pipe(duplex=False)
        job = context.Process(target=lambda: send.send(run_job(**kwargs)))
        job.start()
        found = receive.recv()
        job.join()
        return found

    return run


@pytest.mark.parametrize(
    ("second", "code"), [("split.stride_hours=3,6", 0), ("split.stride_hours=3,4", 2)]
)
def test_a_job_that_fails_in_another_process_fails_the_sweep(
    tmp_path, monkeypatch, second, code, capfd
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(basic_launcher, "run_job", elsewhere(basic_launcher.run_job))
    assert main(words("config", "validate", "-m", second, config="bare")) == code
    told = capfd.readouterr()
    assert ("issue times are whole 3-hour intervals apart" in told.err) == bool(code)
    assert "Traceback" not in told.err


def test_a_sweep_leaves_no_note_of_hydra_even_when_interrupted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    sweep = words("config", "validate", "-m", "seed=1,2", config="bare")
    assert main(sweep) == 0
    assert not [*tmp_path.rglob("multirun.yaml")]

    def stopped(*_, **__):
        assert Path("runs/multirun.yaml").is_file()
        raise KeyboardInterrupt

    monkeypatch.setattr(basic_launcher, "run_job", stopped)
    with pytest.raises(KeyboardInterrupt):
        main(sweep)
    assert not [*tmp_path.rglob("multirun.yaml")]


def test_a_typed_key_takes_the_place_of_what_the_file_varies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    jobs = []

    def counted(**kwargs):
        config = kwargs["config"]
        jobs.append((config.inputs.images.steps, config.model.series.type))
        return run_job(**kwargs)

    run_job = basic_launcher.run_job
    monkeypatch.setattr(basic_launcher, "run_job", counted)
    typed = ("inputs.images.steps=4,8", "model.series.type=linear", "++model.images.type=convlstm",
             "model.fusion.type=concat", "inputs.solar_wind.steps=56")  # fmt: skip
    assert main(["config", "validate", "-m", "--config-name", "sweep", *typed]) == 0
    assert jobs == [(4, "linear"), (8, "linear")]
    jobs.clear()
    typed = ("inputs.images.steps=4", "model.series.type=linear", "model.images.type=convlstm",
             "inputs.solar_wind.steps=56")  # fmt: skip
    assert main(["config", "validate", "-m", "--config-name", "sweep", *typed]) == 0
    assert jobs == [(4, "linear")] * 2, "what is not typed is varied as the file says"


def test_a_note_that_was_there_before_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    Path("runs/multirun.yaml").write_text("mine")
    assert main(words("config", "validate", "-m", "seed=1,2", config="bare")) == 0
    assert Path("runs/multirun.yaml").is_file()


def test_names_of_jobs_are_read_back_and_fit_a_file_system(tmp_path):
    told = "++a.b=[1,2],++c={d: 1, e: 2},++name=x/y"
    folder = job_folder(tmp_path, told)
    assert folder.name.startswith("a.b=[1,2],c={d: 1, e: 2},name=x_y-")
    assert folder != job_folder(tmp_path, told.replace("x/y", "x_y"))
    assert job_folder(tmp_path, "name=a\0\n\udcff").name.startswith("name=a___-")
    assert overrides_of(told.replace("++", "")) == {
        "a.b": "[1,2]", "c": "{d: 1, e: 2}", "name": "x/y",
    }  # fmt: skip
    long = [job_folder(tmp_path, f"++a={'ü' * 200},++b={b}") for b in (1, 2)]
    assert long[0] != long[1] and all(len(p.name.encode()) <= 200 for p in long)


def test_a_table_shows_what_varies_and_what_is_not_resolved():
    def job(seed, low):
        scores, gains = (Interval(0.4, 0.3, 0.5),) * 3, (Interval(0.05, low, 0.1),) * 3
        return Job({"seed": seed, "training.epochs": "2"}, "damped", None, scores, gains)

    jobs = [job("1", -0.01), job("2", 0.01)]
    assert varied(jobs) == ["seed"]
    text = table_text(jobs, ["seed"])
    assert "~ +0.050 [-0.010, +0.100]" in text and text.count("~ +") == 3
    assert text.count("+0.050 [+0.010, +0.100]") == 3
