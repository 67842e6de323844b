"""Refusals of checks and stages that no other test asks for (`python knocks/raises.py`)."""

import json
import socket
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from heliosight.core.errors import (
    ConfigError,
    DataError,
    NotApplicable,
    RecordError,
    SubjectError,
)
from heliosight.core.folds import Fold
from heliosight.data.degradation import Curve
from heliosight.diagnosis import (
    DiagnosisConfig,
    arrival,
    explaining,
    learning,
    left,
    output,
    rotation,
)
from heliosight.diagnosis import training as pace
from heliosight.diagnosis.blocks import TooFew, require_sample
from heliosight.evaluation.references import Rows
from heliosight.explain.targets import Target
from heliosight.issuing.archive import Archive
from heliosight.issuing.ledger import Ledger
from heliosight.models import native
from heliosight.workflows import (
    build,
    explain,
    explain_survey,
    explainers,
    issue,
    published,
    serve,
    study,
    trained,
    verify,
)
from heliosight.workflows.config_data import FetchedData

CONFIG = DiagnosisConfig()
LOG = [{"kind": "step", "gradient_norms": {"head": 1.0}}, {"kind": "epoch"}]
IMAGES = {"images": SimpleNamespace(kind="images")}


def has(**found):
    return SimpleNamespace(**found)


def not_finite(subject, batch):
    return torch.full((1, 2, 4, 4), torch.nan)


def no_past(evidence_config):
    found = has(
        forecast=np.zeros((3, 2)), observed=(np.zeros((3, 2)), np.ones((3, 2), bool)),
        config=evidence_config,
    )  # fmt: skip
    return output._copying(found, np.full((3, 2), np.nan))


# What is asked, the kind of refusal, its words.
CHECKS = {
    "arrival": (lambda: arrival.arrivals(has(past=None, own_sample=None)), NotApplicable,
                "arrival is compared with other windows of the same data"),
    "sample": (lambda: require_sample(np.zeros(9, int), np.arange(9.0), CONFIG), TooFew,
               "a statistic needs .* blocks of 27 d and an effective sample of"),
    "maps": (lambda: explaining.maps_of(not_finite, None,
                                        has(inputs={"i": torch.zeros(1, 3, 2, 4, 4)}), "i"),
             SubjectError, "an explainer gives finite maps"),
    "past": (lambda: no_past(CONFIG), NotApplicable,
             "past values are looked up in the windows' own targets"),
    "windows": (lambda: rotation.explained(has(memo={}, config=CONFIG, spread=lambda _: [0]), "g"),
                TooFew, r"this check needs \d+ windows"),
    "blocks": (lambda: rotation.blocks_of(has(rows=np.zeros(9, int), config=CONFIG), np.arange(9)),
               TooFew, r"this check needs \d+ blocks of 27 d"),
    "epochs": (lambda: pace._epochs(has(records=LOG), 3), TooFew, "this check needs 3 epochs"),
    "steps": (lambda: pace.ClipsFairly().run(has(records=LOG)), TooFew,
              r"this check needs \d+ steps"),
    "target": (lambda: Target("x", "ap", "", lambda f: f, range(8), "spread").value(
                   has(quantities=lambda _: {}), None),
               NotApplicable, "target 'x' needs a subject that gives spread"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_says_why_it_cannot_be_asked(name):
    do, kind, words = CHECKS[name]
    with pytest.raises(kind, match=words):
        do()


def test_too_few_blocks_for_a_common_gradient(monkeypatch):
    monkeypatch.setattr(learning, "_gradients", lambda *_: np.ones((2, 3)))
    with pytest.raises(NotApplicable, match=r"this check needs \d+ blocks of time"):
        learning.pull(None, "images")


def test_a_fold_without_rows():
    rows = Rows(np.arange(0, 100, 10), np.ones((10, 24)), ())
    fold = Fold("late", (0, 40), (40, 60), (1000, 2000), 0.0)
    with pytest.raises(DataError, match="each span of a fold has rows whose target is known"):
        rows.require(fold)


def test_a_link_among_the_entries_of_an_archive(tmp_path):
    (tmp_path / "entries").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordError, match="an archive's entries are folders of its own"):
        Archive(tmp_path).entry("20150310T120000Z_20150310T120000000000Z_0123abcd")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["/nowhere/g++"], r"/nowhere/g\+\+ did not run \(.*No such file"),
        (["false"], r"false failed \(nothing\)"),
    ],
)
def test_a_compiler_that_cannot(command, words):
    with pytest.raises(native.CannotBuild, match=words):
        native._run(command)


def test_nothing_was_fetched(tmp_path):
    data = FetchedData(folder=str(tmp_path), channels=())
    with pytest.raises(DataError, match="a folder holds fetched files"):
        build.read_fetched(data, tmp_path / "days")


def test_no_window_can_be_chosen_before_every_fold_is_trained(monkeypatch):
    monkeypatch.setattr(explain, "predictions", lambda *_: None)
    run = has(config=has(explain=has(issue_time="", fold=0), systems={"a": None}))
    found = has(study=has(fold_number=lambda *_: 0))
    with pytest.raises(ConfigError, match="choosing a window needs forecasts on every fold"):
        explain.issue_time(run, found)


def test_a_survey_is_of_images(monkeypatch):
    run = has(config=has(explain=None))
    with pytest.raises(ConfigError, match="a survey maps attributions to images"):
        explain_survey.made(run, has(subject=has(spec=has(modalities={}))), "key")
    monkeypatch.setattr(explain_survey, "examine", lambda _: socket.socket())
    monkeypatch.setattr(explain_survey, "attributions_made", lambda *_: [])
    with pytest.raises(NotApplicable, match="a survey's method speaks about images"):
        explain_survey._maps(None, None, has(methods=("importance",)))


def test_a_published_config_with_another_key(tmp_path):
    plain = {"model_type": published.FORMAT, "format_version": published.VERSION, "odd": 1}
    (tmp_path / published.CONFIG).write_text(json.dumps(plain))
    with pytest.raises(RecordError, match="a published config is one of ours"):
        published.read_published(tmp_path)


def test_an_address_that_is_taken(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        run = has(config=has(forecast=has(host="127.0.0.1", port=taken.getsockname()[1])))
        with pytest.raises(ConfigError, match="a server gets the address it is given"):
            serve.serve(run, Archive(tmp_path))


def test_a_series_that_the_store_lacks():
    found = study.Study.series
    with pytest.raises(ConfigError, match="the store has the series a stage needs"):
        found(has(store=has(tables={})), "geomagnetic")


def test_a_forecaster_that_was_not_trained(monkeypatch, tmp_path):
    monkeypatch.setattr(trained, "finished", lambda *_: None)
    monkeypatch.setattr(trained, "folder_of", lambda *_: tmp_path)
    with pytest.raises(RecordError, match="this stage looks at a trained forecaster"):
        trained.forecaster(None, "a", 0)


def test_a_sealed_block_too_near_to_the_test_block():
    last = Fold("last", (0, 10), (10, 20), (20, 10**9), 27.0)
    config = has(start="2001-01-01", end="2002-01-01")
    with pytest.raises(ConfigError, match="a sealed block begins after the last test block"):
        verify.sealed_fold(has(run=has(config=has(verify=config)), folds=[last]))


def test_an_issue_time_before_the_test_block():
    issuer = has(fold=has(test=(100, 200)))
    with pytest.raises(ConfigError, match="a forecast is made by a model that has not seen its"):
        issue.Issuer.issue(issuer, np.array([50, 150]))


def test_grad_cam_without_a_cell():
    subject = has(parts={}, spec=has(modalities=IMAGES))
    with pytest.raises(NotApplicable, match="Grad-CAM needs a recurrent cell over images"):
        explainers.cam_maps(subject, None)


def test_a_strange_name_in_a_ledger_of_forecasts(tmp_path):
    Ledger(tmp_path / "ledger.jsonl").append({"entry": "../x", "hash": "0", "issue_times": []})
    with pytest.raises(RecordError, match="an entry's name is one of the archive's"):
        Archive(tmp_path).listed()


def test_a_probe_in_few_windows():
    times = 86400 * np.arange(6)
    with pytest.raises(NotApplicable, match="a probe needs 20 windows to fit on in every fold"):
        left.left_in(has(own_sample=has(times=times)), None)


def test_a_degradation_curve_that_ends_too_early():
    curve = Curve(86400 * np.arange(3), np.ones(3))
    with pytest.raises(DataError, match="a degradation curve covers the frames"):
        curve.at(86400 * 9)
