import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from diagnosis_worlds import SPEC, T, line, net, outcome, windows
from torch import nn

from heliosight.core import records
from heliosight.core.errors import ConfigError, SubjectError
from heliosight.core.records import Diagnosis, Finding, Interval
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import Moments
from heliosight.diagnosis import (
    CHECKS,
    CONVLSTM_CHECKS,
    FUSION_CHECKS,
    USAGE_CHECKS,
    DiagnosisConfig,
    diagnose,
    lines,
    text,
    verdict,
)
from heliosight.subject import wrap


@pytest.fixture(scope="module")
def batch():
    return windows(n=300)


def finding(outcome_, check="T3", cause="", subject="images"):
    value = Interval(0.5, 0.4, 0.6)
    return Finding(check, "q", subject, outcome_, "share", value, "r", "why", cause, "Do this.")


def test_every_check_declares_itself():
    for check in CHECKS:
        for key in ("id", "question", "needs", "cost", "rule"):
            assert getattr(check, key)
    assert len({check.id for check in CHECKS}) == len(CHECKS)


def test_levels_grow():
    quick = {
        f.check for f in diagnose(net(), windows(n=12), DiagnosisConfig(level="quick")).findings
    }
    assert {"T2", "T3", "T4", "T5", "T6", "T7", "T20"} <= quick
    assert "T8" not in quick


def test_one_failing_check_does_not_stop_the_others(batch, monkeypatch):
    def fails(self, evidence):
        raise ZeroDivisionError("on purpose")

    batch_check = next(check for check in CHECKS if check.id == "T2")
    monkeypatch.setattr(type(batch_check), "run", fails)
    found = diagnose(net(), batch, DiagnosisConfig(checks=("T2", "T3")))
    assert outcome(found, "T2").outcome == "inconclusive"
    assert "ZeroDivisionError: on purpose" in outcome(found, "T2").reason
    assert outcome(found, "T3", "images").outcome == "healthy"
    assert all(f.seconds > 0 for f in found.findings)


def test_a_number_without_end_is_left_open_and_can_be_kept(batch, monkeypatch, tmp_path):
    def endless(self, evidence):
        value = Interval(0.1, 0.0, float("inf"))
        return [self.finding("all", "fault", "ratio", value, "so it is", "batch_leakage", "Do.")]

    batch_check = next(check for check in CHECKS if check.id == "T2")
    monkeypatch.setattr(type(batch_check), "run", endless)
    found = diagnose(net(), batch, DiagnosisConfig(checks=("T2",)))
    told = outcome(found, "T2")
    assert (told.outcome, told.value, told.cause) == ("inconclusive", None, "")
    assert told.reason == "so it is; not resolved: its number is not finite"
    records.save(tmp_path / "kept", found)


def test_nan_in_some_windows_leaves_exact_checks_standing(batch):
    class Holes(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(2, 4)

        def forward(self, b):
            y = 5 + self.lin(b.inputs["solar_wind"][:, -1])
            return y.masked_fill((b.issue_time == batch.issue_time[151])[:, None], float("nan"))

    found = diagnose(wrap(Holes(), SPEC), batch, DiagnosisConfig(checks=("T3", "T8", "T20")))
    assert outcome(found, "T3", "solar_wind").outcome == "healthy"
    for check in ("T8", "T20"):
        assert outcome(found, check).outcome == "inconclusive"
        assert "1 of 300 windows are not" in outcome(found, check).reason


def test_the_subject_is_left_bit_identical(batch):
    subject = net()
    subject.module.train()
    subject.module.head.weight.requires_grad_(False)
    subject.score(batch.select(slice(0, 3))).sum().backward()
    state = {k: v.clone() for k, v in subject.module.state_dict().items()}
    grads = {k: p.grad.clone() for k, p in subject.module.named_parameters() if p.grad is not None}
    python, numpy, cpu = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    before = {k: x.clone() for k, x in batch.inputs.items()}
    diagnose(subject, batch)
    assert all(torch.equal(v, state[k]) for k, v in subject.module.state_dict().items())
    now = {k: p.grad for k, p in subject.module.named_parameters() if p.grad is not None}
    assert now.keys() == grads.keys()
    assert all(torch.equal(now[k], grads[k]) for k in grads)
    assert all(m.training for m in subject.module.modules())
    assert not subject.module.head.weight.requires_grad
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in subject.module.modules())
    assert not any("forward" in vars(m) for m in subject.module.modules())
    assert random.getstate() == python
    assert np.array_equal(np.random.get_state()[1], numpy)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), cpu)
    assert all(torch.equal(batch.inputs[k], before[k]) for k in before)


def test_the_same_diagnosis_twice(batch):
    strip = lambda d: [replace(f, seconds=0.0) for f in d.findings]  # noqa: E731
    assert strip(diagnose(net(), batch)) == strip(diagnose(net(), batch))


def test_a_source_is_thinned_evenly(batch):
    asked = []

    class Source:
        spec = SPEC

        def batch(self, issue_times, image_shift=None):  # noqa: ARG002 - the port's own name
            asked.extend(issue_times.tolist())
            place = np.searchsorted(batch.issue_time.numpy(), issue_times)
            return batch.select(torch.as_tensor(place))

    config = DiagnosisConfig(windows=20, checks=("T7",))
    found = diagnose(line(), Source(), config, issue_times=batch.issue_time.numpy())
    assert found.windows == len(asked) == 20
    assert asked[0] == batch.issue_time[0]
    assert asked[-1] == batch.issue_time[-1]
    with pytest.raises(ConfigError, match="comes with issue times"):
        diagnose(line(), Source(), config)


def test_wrong_windows_and_checks_are_refused(batch):
    with pytest.raises(SubjectError, match="ordered in issue time"):
        diagnose(line(), batch.select([3, 2, 1, 0]))
    with pytest.raises(SubjectError, match="at least four windows"):
        diagnose(line(), batch.select([0]))
    with pytest.raises(ConfigError, match="named by their identifiers"):
        diagnose(line(), batch, DiagnosisConfig(checks=("T99",)))


def test_a_sick_wrapping_is_told_first(batch):
    class Random(nn.Module):
        def forward(self, b):
            return torch.rand(len(b), 4) + b.inputs["solar_wind"].mean()

    found = diagnose(wrap(Random(), SPEC), batch, DiagnosisConfig(checks=("T7",)))
    assert outcome(found, "SUBJECT").cause == "wrapping"
    assert "random" in outcome(found, "SUBJECT").reason


def test_a_diagnosis_survives_the_disk(tmp_path, batch):
    found = diagnose(net(), batch, DiagnosisConfig(level="quick"))
    records.save(tmp_path / "d", found)
    assert records.load(tmp_path / "d", Diagnosis) == found


def test_the_root_fault_is_named_first():
    found = [finding("fault", cause="collapse"), finding("fault", cause="batch_leakage")]
    said = verdict([*found, finding("inconclusive")])
    assert said.startswith("Fault: batch leakage in images: why. Do this.")
    assert "Then: collapse in images." in said
    assert "1 question stays open" in said


def test_verdicts_without_a_fault():
    assert verdict([finding("healthy")]) == "No fault found."
    assert "Unused without loss: images" in verdict([finding("benign_unused", "USE")])
    assert verdict([finding("inconclusive")]).startswith("Nothing could be decided")


def test_lines_are_plain_and_worst_first():
    d = Diagnosis(
        subject="net", windows=9,
        findings=(finding("healthy"), finding("inconclusive"), finding("fault", "T4", "x")),
    )  # fmt: skip
    shown = lines(d)
    assert [line_.split()[0] for line_ in shown] == ["problem", "warning", "fine"]
    assert shown[0] == "problem  T4  images: why [share: 0.5 [0.4, 0.6]] -> Do this."
    assert len(lines(d, CONVLSTM_CHECKS)) == 1


def test_the_text_is_read_from_top_to_bottom():
    skipped = replace(finding("not_applicable", "T1", subject="subject"), reason="no explainer")
    d = Diagnosis(
        subject="net", windows=9,
        findings=(finding("healthy", "T13"), skipped, finding("fault", "T13", "x", "cell")),
        inputs={"sdo": "images (B T C H W)"}, parts={"fusion": "join"},
        seconds={"T13": 2.0, "encode": 3.25, "T1": 0.01},
    )  # fmt: skip
    assert text(d).split("\n") == [
        "net: 9 windows, level standard",
        "Fault: x in cell: why. Do this.",
        "",
        "q (T13)",
        "  problem  cell: why",
        "           0.5 [0.4, 0.6]  share",
        "           -> Do this.",
        "  fine     images: why",
        "           0.5 [0.4, 0.6]  share",
        "           -> Do this.",
        "",
        "Not asked",
        "  skipped  T1: no explainer",
        "",
        "called   sdo = images (B T C H W) (say otherwise: subject.inputs.NAME='images BTCHW')",
        "parts    fusion = join (say otherwise: subject.parts.ROLE=path)",
        "",
        "cost 5.3 s: encode 3.2, T13 2.0",
    ]
    part = text(d, FUSION_CHECKS)
    assert "T13)" not in part and part.startswith("net: 9 windows")


def test_the_three_scripts_ask_for_known_checks():
    known = {check.id for check in CHECKS}
    for names in (CONVLSTM_CHECKS, FUSION_CHECKS, USAGE_CHECKS):
        assert set(names) <= known


def own():
    models = pytest.importorskip("heliosight.models")
    from heliosight.models.forecaster import ForecasterConfig
    from heliosight.models.images import ConvLSTMConfig
    from heliosight.models.series import TransformerConfig

    spec = ForecastSpec(
        {
            "images": ModalitySpec("images", "images", ("aia_193", "aia_211"), T, 6, size=8),
            "solar_wind": ModalitySpec("series", "solar_wind", ("speed", "density"), 5, 3),
        },
        leads=4,
    )
    config = ForecasterConfig(
        images=ConvLSTMConfig(hidden=4, features=8, patch=2, grid=1),
        series=TransformerConfig(features=8, heads=2, layers=1, feedforward=8),
    )
    moments = {
        "images": Moments((120.0, 120.0), (20.0, 20.0)),
        "solar_wind": Moments((0.0, 0.0), (1.0, 1.0)),
        "target": Moments((2.0,), (0.5,)),
    }
    return wrap(models.build_forecaster(config, spec, moments), spec, name="own")


def test_our_own_forecaster_has_no_structural_fault(batch):
    subject = own()
    found = diagnose(subject, batch, DiagnosisConfig(checks=("T2", "T3", "T4", "T5", "T6", "T7")))
    assert [f for f in found.findings if f.outcome != "healthy"] == []
