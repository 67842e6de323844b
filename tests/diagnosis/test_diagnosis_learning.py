import numpy as np
import pytest
import torch
from diagnosis_worlds import line, outcome, windows

from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.learning import _gradients, pull
from heliosight.subject import examine

T16 = DiagnosisConfig(checks=("T16",))


def test_an_untrained_branch_is_pulled():
    found = diagnose(line(image=0.1), windows(), T16)
    assert outcome(found, "T16", "encoder.images").outcome == "healthy"


def test_a_branch_that_cannot_help_is_not_pulled():
    world = windows(image_effect=0.0)
    found = diagnose(line(image=1e-6), world, T16)
    assert outcome(found, "T16", "encoder.images").outcome == "inconclusive"


def test_few_blocks_are_refused():
    found = diagnose(line(), windows(n=60), T16)
    assert outcome(found, "T16").outcome == "not_applicable"
    assert "8 blocks" in outcome(found, "T16").reason


def test_no_gradient_is_not_applicable():
    found = diagnose(line(image=0.0, wind=0.0), windows(), T16)
    assert "needs a gradient" in outcome(found, "T16").reason


def test_common_share_equals_its_double_sum():
    subject = line(image=0.1)
    with examine(subject):
        evidence = Evidence(subject, windows(), T16)
        g = _gradients(evidence, "encoder.images")
        share, _ = pull(evidence, "encoder.images")
    k = len(g)
    pairs = [g[a] @ g[b] for a in range(k) for b in range(k) if a != b]
    assert share == pytest.approx(np.mean(pairs) / np.mean([x @ x for x in g]))


@pytest.mark.parametrize("factor", [1e-2, 1e2])
def test_pull_does_not_see_a_rescaled_branch(factor):
    def numbers(subject):
        with examine(subject):
            return pull(Evidence(subject, windows(), T16), "encoder.images")

    changed = line(image=0.1)
    with torch.no_grad():
        changed.module.eye.scale *= factor
        changed.module.weights[0] /= factor
    assert numbers(changed) == pytest.approx(numbers(line(image=0.1)), rel=1e-3)
