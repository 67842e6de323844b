import pytest
from remedy_worlds import LAZY, LOST_BRANCH, NOT_CARRIED, OPEN, finding

from heliosight.core.records import Interval
from heliosight.remedy import Arm, Fault, faults_of, judge, unanswered

ILL, OTHER = Fault("cell.images.0", "state_not_carried"), Fault("images", "misused")
FLAT = Interval(0.0, -0.01, 0.01)


def arm(*seeds, name="arm"):
    return Arm(name, tuple(frozenset(s) for s in seeds))


CONTINUED = arm([ILL], [ILL], [ILL], name="continued")
RANDOM = arm([ILL], [ILL], [ILL], name="random")


def verdict(found, change=FLAT, controls=(CONTINUED, RANDOM)):
    return judge([ILL], found, controls, {c.name: change for c in controls}, 0.02)


def test_a_remedy_that_keeps_its_promise_is_accepted():
    v = verdict(arm([], [], [ILL]))
    assert v.accepted and (v.cleared, v.control_cleared, v.new_faults) == (2, 0, ())
    assert "gone in 2 of 3 seeds" in v.reason


@pytest.mark.parametrize(
    ("found", "change", "controls", "told"),
    [
        (arm([ILL], [ILL], []), FLAT, (CONTINUED, RANDOM), "still there in 2 of 3"),
        (arm([OTHER], [OTHER], []), FLAT, (CONTINUED, RANDOM), "it brought misused in images"),
        (arm([], [], []), Interval(0.0, -0.05, 0.03), (CONTINUED, RANDOM), "not excluded: .0.030"),
        (arm([], [], []), Interval(0.0), (CONTINUED, RANDOM), "not excluded: unknown"),
        (arm([], [], []), FLAT, (CONTINUED, arm([], [], [ILL], name="random")), "a control lost"),
    ],
)
def test_one_broken_promise_refutes_it(found, change, controls, told):
    v = verdict(found, change, controls)
    assert not v.accepted
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(v.reason)


@pytest.mark.parametrize(
    ("high", "accepted"), [(-0.03, True), (-0.02, True), (-0.01, False), (None, False)]
)
def test_a_random_remedy_that_helps_too_is_outdone_by_skill_alone(high, accepted):
    random = arm([], [], [], name="random")
    changes = {"continued": FLAT, "random": Interval(-0.05, -0.09, high)}
    v = judge([ILL], arm([], [], []), (CONTINUED, random), changes, 0.02)
    assert v.accepted is accepted and v.control_cleared == 3
    assert ("a random remedy whose error is higher" in v.reason) is accepted


def test_training_on_that_is_enough_is_never_outdone():
    enough = arm([], [], [], name="continued")
    changes = {"continued": Interval(-0.3, -0.4, -0.2), "random": FLAT}
    v = judge([ILL], arm([], [], []), (enough, RANDOM), changes, 0.02)
    assert not v.accepted and "a control lost the fault as well" in v.reason


def test_a_fault_that_the_control_has_too_is_not_new():
    controls = (arm([ILL, OTHER], [ILL, OTHER], [ILL], name="continued"), RANDOM)
    assert verdict(arm([OTHER], [OTHER], [OTHER]), controls=controls).accepted
    rare = arm([OTHER], [], [])
    assert verdict(rare).accepted, "a fault of one seed in three is not the usual one"


@pytest.mark.parametrize(
    ("fault", "new"),
    [
        (Fault("cell.images.0", "learned_short_memory"), False),
        (Fault("images", "short_sight"), False),
        (Fault("solar_wind", "short_sight"), True),
        (Fault("images", "lazy_or_blocked"), True),
        (Fault("cell.images.0", "same_frame"), True),
    ],
)
def test_a_short_memory_is_not_new_where_there_was_none(fault, new):
    v = verdict(arm([fault], [fault], []))
    assert v.new_faults == ((str(fault),) if new else ()) and v.accepted != new


def test_faults_are_named_by_part_and_cause():
    found = faults_of([NOT_CARRIED, NOT_CARRIED, LAZY, LOST_BRANCH, OPEN])
    assert found == {
        ILL,
        Fault("images", "lazy_or_blocked"),
        Fault("images", "lost_at_fusion"),
    }
    assert str(ILL) == "state not carried in cell.images.0"


@pytest.mark.parametrize(
    ("after", "left"),
    [
        ([finding("USE", "images", "healthy")], False),
        ([finding("USE", "images", "benign_unused")], False),
        ([finding("USE", "images", "inconclusive", value=Interval(0.02))], False),
        ([finding("USE", "images")], False),  # a fault again: told by faults_of
        ([finding("USE", "images", "inconclusive")], True),
        ([finding("USE", "images", "not_applicable")], True),
        ([finding("USE", "subject", "inconclusive", reason="too few blocks")], True),
        ([finding("USE", "solar_wind", "healthy")], True),
        ([], True),
    ],
)
def test_a_fault_is_not_gone_because_its_check_says_nothing(after, left):
    assert unanswered([LAZY], after) == ({Fault("images", LAZY.cause)} if left else frozenset())


def test_one_answer_of_several_checks_is_enough():
    before = [NOT_CARRIED, finding("T13", "cell.images.0", cause="state_not_carried")]
    assert unanswered(before, [finding("T4", "cell.images.0", "healthy")]) == frozenset()
    assert unanswered(before, [OPEN]) == {Fault("cell.images.0", "state_not_carried")}
    assert unanswered([finding("T4", "x", "healthy")], []) == frozenset()
