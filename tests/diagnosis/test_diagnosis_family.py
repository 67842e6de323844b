"""False alarms in a check's family: Benjamini & Hochberg by hand, echoes, exact faults."""

import numpy as np
import pytest
from diagnosis_worlds import line, outcome, windows
from hypothesis import given, settings
from hypothesis import strategies as st

from heliosight.core.records import Finding
from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.diagnosis.diagnose import CHECKS
from heliosight.diagnosis.family import controlled

CHANCE = ("USE", "T12")
P = st.floats(0.0, 1.0)


def said(check, subject, p=None, cause="", outcome="healthy"):
    outcome = "fault" if cause else outcome
    return Finding(check, "?", subject, outcome, "", None, "", "it is", cause, "Do.", 0.0, p)


def faults(findings):
    return [(f.check, f.subject) for f in findings if f.outcome == "fault"]


def slow_kept(p, others, level):
    """The definition: the largest k whose k-th smallest p is at most level k / m."""
    every = sorted([*p, *[1.0] * others])
    k = max((i + 1 for i, x in enumerate(every) if x <= level * (i + 1) / len(every)), default=0)
    bound = every[k - 1] if k else -1.0
    return {i for i, x in enumerate(p) if x <= bound}


@given(st.lists(P, min_size=1, max_size=8), st.integers(0, 30))
@settings(max_examples=80, deadline=None)
def test_faults_that_stand_are_those_of_the_definition(p, others):
    asked = [said("USE", str(i), x, f"cause {i}") for i, x in enumerate(p)]
    asked += [said("USE", f"other {i}") for i in range(others)]
    kept = {int(subject) for _, subject in faults(controlled(asked, CHANCE, 0.05))}
    assert kept == slow_kept(p, others, 0.05)


@given(st.lists(P, min_size=1, max_size=6), st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_more_questions_of_its_check_never_make_a_fault_and_others_change_nothing(p, more):
    asked = [said("USE", str(i), x, "cause") for i, x in enumerate(p)]
    alone = faults(controlled(asked, CHANCE, 0.05))
    wider = asked + [said("USE", f"x{i}", outcome="inconclusive") for i in range(more)]
    assert set(faults(controlled(wider, CHANCE, 0.05))) <= set(alone)
    beside = asked + [said("T12", str(i), outcome="inconclusive") for i in range(more)]
    assert faults(controlled(beside, CHANCE, 0.05)) == alone


@pytest.mark.accuracy
def test_one_false_alarm_among_forty_questions_is_bounded():
    rng = np.random.default_rng(0)
    alarms = []
    for _ in range(1000):
        p = rng.random(40)
        asked = [
            said("USE", str(i), x, "cause") if x < 0.05 else said("USE", str(i))
            for i, x in enumerate(p)
        ]
        alarms.append((bool(faults(asked)), bool(faults(controlled(asked, CHANCE, 0.05)))))
    alone, together = np.mean(alarms, 0)
    assert alone > 0.8  # 1 - 0.95^40 = 0.87
    assert together < 0.07


def test_an_echo_goes_with_its_fault_and_what_is_exact_stands():
    asked = [
        said("USE", "images", 0.03, "lazy"), said("T8", "images", None, "lazy"),
        said("T5", "images", None, "detached"), said("T12", "frames", None, "exact"),
        said("T12", "old", 0.04, "short"), *(said("USE", str(i)) for i in range(9)),
    ]  # fmt: skip
    found = controlled(asked, CHANCE, 0.05)
    assert faults(found) == [("T5", "images"), ("T12", "frames"), ("T12", "old")]
    assert [f.outcome for f in found[:2]] == ["inconclusive", "inconclusive"]
    assert "p 0.03 among 10 questions of USE" in found[0].reason and found[0].action == ""
    assert faults(controlled(asked[:3], CHANCE, 0.05)) == [
        ("USE", "images"), ("T8", "images"), ("T5", "images"),
    ]  # fmt: skip
    assert controlled([], CHANCE, 0.05) == []


def test_the_p_of_what_is_no_fault_helps_no_other():
    sure = said("USE", "wind", 1e-6, outcome="healthy")
    asked = [said("USE", "images", 0.04, "lazy"), sure]
    assert faults(controlled(asked, CHANCE, 0.05)) == []


def test_a_question_alone_is_one_question():
    (found,) = controlled([said("USE", "images", 0.06, "lazy")], CHANCE, 0.05)
    assert found.reason.endswith("p 0.06 among 1 question of USE")


def test_a_fault_that_stands_in_one_check_stands_where_another_repeats_it():
    weak = [said("USE", "images", 0.04, "short"), *(said("USE", str(i)) for i in range(9))]
    assert faults(controlled(weak, CHANCE, 0.05)) == []
    both = [*weak, said("T12", "images", 0.01, "short")]
    assert faults(controlled(both, CHANCE, 0.05)) == [("USE", "images"), ("T12", "images")]


def test_every_fault_by_chance_comes_with_its_p():
    batch = windows(n=400)
    asked = DiagnosisConfig(shifts=8, checks=("T8", "T9", "USE", "T12", "T20"))
    found = diagnose(line(image=0.06, wind=0.3), batch, asked)
    ids = {c.id for c in CHECKS if c.by_chance}
    blamed = [f for f in found.findings if f.outcome == "fault" and f.check in ids]
    assert blamed and all(f.p is not None and f.p <= 0.05 for f in blamed)
    assert outcome(found, "USE", "images").cause == "lazy_or_blocked"


@pytest.mark.parametrize(("effect", "blamed"), [(0.16, False), (0.6, True)])
def test_what_is_missed_must_matter(effect, blamed):
    """Images hold 2 % and 22 % of the variance, and the forecast takes nothing of either."""
    asked = DiagnosisConfig(shifts=8, checks=("T8", "T9", "T10", "USE"))
    found = diagnose(line(image=0.0), windows(n=400, image_effect=effect), asked)
    assert (outcome(found, "USE", "images").cause == "lazy_or_blocked") == blamed
    assert bool([f for f in found.findings if f.outcome == "fault"]) == blamed
