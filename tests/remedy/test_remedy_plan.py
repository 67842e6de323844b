import numpy as np
from remedy_worlds import LAZY, LOST_BRANCH, NOT_CARRIED, OPEN, finding, plain

from heliosight.core.records import Interval
from heliosight.core.records_remedy import PlanRow
from heliosight.diagnosis.verdict import CAUSES
from heliosight.remedy import REPAIRS, Fault, advice, apply, ledger, named, random_step
from heliosight.remedy import plan as planned
from heliosight.remedy.plan import blocks_needed


def names(steps):
    return [s.prescription.name for s in steps]


def test_quick_before_structural_before_training_and_roots_first():
    steps = planned([NOT_CARRIED, LAZY, LOST_BRANCH], plain())
    costs = [s.prescription.cost for s in steps]
    assert costs == sorted(costs, key=["quick", "structural", "training"].index)
    assert names(steps)[0] == "carry_state"
    assert {"branch_norm", "auxiliary_head", "progressive"} <= set(names(steps))
    assert steps[0].targets == (Fault("cell.images.0", "state_not_carried"),)


def test_what_would_change_nothing_is_not_tried():
    healed, _ = apply(plain(), named("branch_norm").patch)
    assert "branch_norm" in names(planned([LAZY], plain()))
    assert "branch_norm" not in names(planned([LAZY], healed))


def test_a_branch_lost_at_the_fusion_is_a_symptom_and_others_are_not():
    assert names(planned([LOST_BRANCH], plain())) == ["branch_norm", "progressive"]
    assert planned([OPEN, finding("T14", "images", "inconclusive")], plain()) == ()
    assert planned([finding("T14", "images", "healthy")], plain()) == ()


def test_a_branch_that_holds_nothing_may_be_lost_at_the_fusion():
    for outcome, missed in (("benign_unused", False), ("healthy", False), ("inconclusive", True)):
        use = finding("USE", "images", outcome)
        assert bool(planned([LOST_BRANCH, use], plain())) == missed
    other = finding("USE", "solar_wind", "benign_unused")
    assert planned([LOST_BRANCH, other], plain())


def test_the_random_remedy_answers_none_of_the_faults():
    steps = planned([NOT_CARRIED, LAZY], plain())
    for seed in range(20):
        drawn = random_step(steps, plain(), np.random.default_rng(seed))
        assert drawn is not None and drawn.name not in names(steps)
    every = planned([finding("T", "x", cause=c) for p in REPAIRS for c in p.answers], plain())
    assert {p.name for p in REPAIRS} - set(names(every)) <= {
        p.name for p in REPAIRS if "faults" in p.patch
    }


def test_advice_says_what_to_do_and_how_to_tell():
    unused = finding("USE", "images", "benign_unused", reason="nothing in it")
    told = advice([NOT_CARRIED, unused, OPEN])
    assert [name for name, _ in told] == ["carry_state", "remove_input", "more_data"]
    assert "Worked when: T4 and T13" in told[0][1] and "cell.images.0" in told[0][1]
    assert "blocks of 27 days would decide it, 20 were there" in told[2][1]


def test_what_answers_the_first_fault_is_advised_first():
    cut = finding("T5", "images", cause="detached")
    steps = finding("T5", "solar_wind", cause="steps_not_connected")
    assert advice([cut, steps])[0][0] == "connect"
    assert "steps not connected in solar_wind" in advice([steps, cut])[0][1]


def test_more_data_is_as_much_as_the_interval_asks_for():
    # half-width 0.04 has to fall to 0.01: sixteen times the blocks
    assert "about 320 blocks" in blocks_needed(OPEN)
    how = "delete-one-block jackknife, t, 20 blocks of 27 d"
    wide = finding("T8", "x", "inconclusive", value=Interval(0.01, -0.5, 0.52, how=how))
    assert "leave the question open" in blocks_needed(wide)
    narrow = finding("T8", "x", "inconclusive", value=Interval(0.5, 0.49, 0.51, how=how))
    assert blocks_needed(narrow) is None
    assert blocks_needed(finding("T8", "x", value=Interval(1.0, 0, 2, how="exact"))) is None


def test_the_catalogue_answers_causes_that_exist():
    extra = {
        "lost_at_fusion", "vanishing_state", "learned_short_memory", "short_sight", "time_unused",
        "overconfident", "static_gate", "below_reference", "benign_unused", "inconclusive",
    }  # fmt: skip
    for p in REPAIRS:
        assert set(p.answers) <= {*CAUSES, *extra}, p.name


def test_a_fault_of_the_wind_is_no_reason_to_change_the_images():
    wind = finding("T12", "solar_wind", cause="short_sight")
    assert planned([wind], plain()) == ()
    assert "every_frame" in names(planned([finding("T12", "images", cause="short_sight")], plain()))
    both = planned([wind, finding("T12", "images", cause="short_sight")], plain())
    assert all(s.targets == (Fault("images", "short_sight"),) for s in both)


def test_the_plan_can_be_read_while_it_runs():
    rows = [
        PlanRow("carry_state", "accepted", ("state not carried",), "gone in 3 of 3 seeds"),
        PlanRow("branch_norm", "running", ("lazy",)),
        PlanRow("progressive", "left out", ()),
    ]
    lines = ledger(rows, "2 of 5 trials").splitlines()
    assert lines[0] == "[x] carry_state for state not carried: gone in 3 of 3 seeds"
    assert lines[1].startswith("[>] branch_norm") and lines[2].startswith("[.] progressive")
    assert lines[-1] == "2 of 5 trials"
