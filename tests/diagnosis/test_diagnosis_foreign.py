"""A model that knows nothing of this project, from a file and a checkpoint to a verdict.

Its ConvLSTM takes frames as (B, T, C, H, W), its cell returns (h, (h, c)), its parts are guessed.
"""

import sys

import pytest
import torch
from diagnosis_explainers import grad_cam, gradient_x_input
from diagnosis_worlds import SPEC, outcome, windows

from heliosight.core.records import Diagnosis
from heliosight.diagnosis import CHECKS, DiagnosisConfig, diagnose, text
from heliosight.subject import build_from_path

CODE = """
import torch
from torch import nn


class Cell(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.hidden = hidden
        self.conv = nn.Conv2d(channels + hidden, 4 * hidden, 3, padding=1)

    def forward(self, x, state):
        h, c = state
        i, f, g, o = self.conv(torch.cat([x, h], dim=1)).chunk(4, dim=1)
        c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)


class Images(nn.Module):
    def __init__(self, forgets):
        super().__init__()
        self.cell, self.forgets = Cell(2, 3), forgets

    def forward(self, sdo):
        x = (sdo - 120) / 20
        empty = x.new_zeros(x.shape[0], 3, *x.shape[-2:])
        state = (empty, empty)
        for t in range(x.shape[1]):
            if self.forgets:
                state = (empty, empty)
            h, state = self.cell(x[:, t], state)
        return h.mean(dim=(2, 3))


class Model(nn.Module):
    def __init__(self, forgets=False):
        super().__init__()
        self.images = Images(forgets)
        self.omni = nn.GRU(2, 3, batch_first=True)
        self.fusion = nn.Linear(6, 8)
        self.head = nn.Linear(8, 4)

    def forward(self, sdo, omni):
        branches = torch.cat([self.images(sdo), self.omni(omni)[1][-1]], dim=1)
        return self.head(torch.tanh(self.fusion(branches)))
"""
WRAPPING = """
import torch
from diagnosis_worlds import CALL, SPEC

from foreign_package.model import Model
from heliosight.subject import wrap


def build(forgets=False):
    return wrap(Model(forgets), SPEC, call=CALL, output=lambda y: torch.expm1(2 + y), name="theirs")


def forgetful():
    return build(forgets=True)
"""
LOG = [
    {"kind": "epoch", "stage": "all", "loss": 1 - 0.1 * e, "validation_loss": 1 - 0.05 * e}
    for e in range(6)
]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("theirs")
    package = folder / "foreign_package"
    package.mkdir()
    (package / "model.py").write_text(CODE)
    (package / "wrapping.py").write_text(WRAPPING)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        torch.manual_seed(3)
        first = build_from_path("foreign_package.wrapping:build")
        torch.save({"model_state_dict": first.module.state_dict()}, folder / "theirs.pth")
        yield lambda name: build_from_path(f"foreign_package.wrapping:{name}", "theirs.pth")
    for name in [n for n in sys.modules if n.split(".")[0] == "foreign_package"]:
        del sys.modules[name]


def test_every_check_answers_about_a_foreign_model(built):
    subject = built("build")
    found = diagnose(
        subject, windows(n=300), DiagnosisConfig(level="full", shifts=4, subset=8, explained=12),
        explainers={"gradient": gradient_x_input, "cam": grad_cam}, records=LOG,
    )  # fmt: skip
    assert isinstance(found, Diagnosis)
    assert {f.check for f in found.findings} == {check.id for check in CHECKS}
    assert not [f.reason for f in found.findings if "the check failed" in f.reason]
    for check in ("T2", "T3", "T4", "T5", "T7"):
        assert {f.outcome for f in found.findings if f.check == check} <= {"healthy"}, check
    assert outcome(found, "T4").subject == "cell.images.0"
    assert outcome(found, "T13", "cell.images.0").outcome in ("healthy", "inconclusive")
    for name in ("gradient", "cam"):
        assert outcome(found, "T1", name).outcome == "healthy"
    assert "theirs: 300 windows" in text(found)


def test_a_planted_fault_is_found_in_a_foreign_model(built):
    config = DiagnosisConfig(checks=("T2", "T4", "T13"))
    found = diagnose(built("forgetful"), windows(n=60), config)
    for check in ("T4", "T13"):
        causes = {f.cause for f in found.findings if f.check == check and f.outcome == "fault"}
        assert causes == {"state_not_carried"}, check
    assert outcome(found, "T2").outcome == "healthy"


def test_the_checkpoints_weights_are_in_it(built):
    first, again = built("build"), built("build")
    batch = windows(n=4)
    assert torch.equal(first.forecast(batch), again.forecast(batch))
    assert SPEC.mismatches(first.spec) == []
