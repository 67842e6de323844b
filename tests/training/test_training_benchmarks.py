"""The scripts in benchmarks/ follow the code: configs build, and without a GPU one says so."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

from heliosight.core.config import build
from heliosight.models import ForecasterConfig
from heliosight.models.convlstm import ConvLSTM
from heliosight.training import TrainingConfig

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    made = []

    def load(name: str):
        made.append(name)
        return importlib.import_module(name)

    yield load
    for name in made:
        sys.modules.pop(name, None)


def test_every_row_is_a_config_of_today(script):
    rows = script("training")
    for row in (rows.ROWS | rows.COMPILED).values():
        given = {"epochs": 1, **row.training}
        if "stages" in given:
            del given["epochs"]
        build(TrainingConfig, given)
        build(ForecasterConfig, row.model)
    for changes in script("architectures").ROWS.values():
        build(ForecasterConfig, changes)


def test_every_loop_computes_the_same_numbers(script):
    loops = script("convlstm")
    torch.manual_seed(0)
    every = {**loops.PUBLIC, **loops.OURS, **loops.TRIED}
    apart = loops.same_numbers(every, ConvLSTM(2, 4, 2), torch.randn(1, 3, 2, 6, 6))
    assert apart < 1e-5


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_gpu_script_refuses_clearly_without_one(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    script("convlstm")
    assert script("gpu").main() == 2
    assert "needs a CUDA GPU" in capsys.readouterr().err
