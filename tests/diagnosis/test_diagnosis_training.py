from itertools import pairwise

import numpy as np
import pytest
from diagnosis_worlds import line, outcome, windows
from hypothesis import given
from hypothesis import strategies as st

from heliosight.core.errors import NotApplicable
from heliosight.diagnosis import TRAINING_CHECKS, DiagnosisConfig, diagnose
from heliosight.diagnosis.blocks import TooFew
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.training import (
    ClipsFairly,
    LearnsAtPace,
    OverfitOnset,
    clipped_norms,
    movements,
    overfit_share,
    penalty,
    relative_pace,
)


def epochs(n=20, image_pace=1.0, validation=None, seed=0, scale=1.0, loss_scale=1.0):
    """Epoch rows; both branches settle, images `image_pace` times as fast."""
    rng = np.random.default_rng(seed)
    paces = {"images": image_pace * scale, "solar_wind": 1.0}
    sizes = {"images": scale, "solar_wind": 1.0}
    mean, rows = dict.fromkeys(paces, 0.0), []
    validation = np.linspace(1.0, 0.5, n) if validation is None else np.asarray(validation)
    for e in range(n):
        for m, pace in paces.items():
            mean[m] += pace * rng.choice([-1, 1]) * (0.05 + 0.02 * rng.random())
        features = {f"raw.{m}": {"mean": mean[m], "std": sizes[m]} for m in paces}
        features |= {m: {"mean": 0.0, "std": 1.0} for m in paces}
        rows.append(
            {
                "kind": "epoch", "epoch": e + 1, "stage": "all", "features": features,
                "loss": loss_scale * (1.0 - 0.6 * e / n + 0.005 * rng.standard_normal()),
                "validation_loss": loss_scale * (validation[e] + 0.005 * rng.standard_normal()),
            }
        )  # fmt: skip
    return rows


def steps(n=200, fusion=0.5, eye=0.3, limit=1.0, seed=0):
    """Step rows of groups `convlstm` and `head` under one limit on everything together."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        norms = {
            "convlstm": eye * float(rng.lognormal(0, 0.3)),
            "head": fusion * float(rng.lognormal(0, 0.3)),
        }
        total = float(np.hypot(*norms.values()))
        rows.append(
            {"kind": "step", "gradient_norms": {**norms, "total": total},
             "clipped": {"total": total > limit}}
        )  # fmt: skip
    return rows


def found(check, records, subject=None, model=None, **world):
    config = DiagnosisConfig(checks=(check,))
    said = diagnose(model or line(), windows(**world), config, records=records)
    return outcome(said, check, subject)


def evidence(records):
    return Evidence(line(), windows(n=40), DiagnosisConfig(), records=records)


def test_branches_at_a_like_pace_are_healthy():
    for m in ("images", "solar_wind"):
        assert found("T17", epochs(), m).outcome == "healthy"


def test_a_branch_that_never_moves_is_a_fault():
    said = found("T17", epochs(image_pace=0.0), "images")
    assert (said.outcome, said.cause) == ("fault", "not_learning")
    assert found("T17", epochs(image_pace=0.0), "solar_wind").outcome == "healthy"


def test_a_slow_branch_is_a_fault_only_where_it_is_also_lazy():
    rows = epochs(image_pace=0.01)
    lazy = found("T17", rows, "images", line(image=0.0))
    assert (lazy.outcome, lazy.cause) == ("fault", "slow_branch")
    used = found("T17", rows, "images", line())
    assert used.outcome == "inconclusive"
    assert "judged in USE" in used.reason


def test_a_slow_branch_in_too_few_windows_decides_nothing():
    said = diagnose(
        line(), windows(n=12), DiagnosisConfig(checks=("T17",)), records=epochs(image_pace=0.01)
    )
    assert outcome(said, "T17", "images").outcome == "inconclusive"


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_a_rescaled_branch_learns_at_the_same_pace(factor):
    plain, scaled = movements(epochs()), movements(epochs(scale=factor))
    np.testing.assert_allclose(scaled["images"], plain["images"], rtol=1e-9)


def staged(alone, both):
    """Rows of a training that first trains the images alone, then both branches."""
    rows = epochs(alone + both)
    for row in rows[:alone]:
        row["features"]["raw.solar_wind"] = dict(rows[alone]["features"]["raw.solar_wind"])
    return rows


def test_epochs_that_train_one_branch_alone_tell_nothing_of_its_pace():
    said = found("T17", staged(6, 12), "solar_wind")
    assert said.outcome == "healthy" and 0.3 < said.value.value < 3
    few = found("T17", staged(12, 3), "solar_wind")
    assert few.outcome == "inconclusive" and "both branches moved in 2 epochs only" in few.reason


def test_movement_equals_its_definition():
    rows = epochs(n=6)
    rows[3]["features"]["raw.images"]["std"] = 4.0
    wanted = []
    for a, b in pairwise(rows):
        x, y = a["features"]["raw.images"], b["features"]["raw.images"]
        size = (x["std"] * y["std"]) ** 0.5
        wanted.append((abs(y["mean"] - x["mean"]) + abs(y["std"] - x["std"])) / size)
    np.testing.assert_allclose(movements(rows)["images"], wanted)
    pace = relative_pace(np.array(wanted), np.array(wanted) * 2)
    assert pace.value == pytest.approx(0.5)
    assert "blocks" in pace.interval().how
    assert " d" not in pace.interval().how.split("blocks")[1]


def test_fair_clipping_is_healthy():
    for group in ("convlstm", "head"):
        assert found("T18", steps(limit=100.0), group).outcome == "healthy"
        assert found("T18", steps(fusion=0.9, eye=0.9), group).outcome == "healthy"


def test_a_dominated_group_is_found_and_the_dominating_one_is_not_blamed():
    rows = steps(fusion=30.0)
    said = found("T18", rows, "convlstm")
    assert (said.outcome, said.cause) == ("fault", "clip_domination")
    assert "most by head" in said.reason
    assert found("T18", rows, "head").outcome == "healthy"


def test_between_fair_and_dominated_is_not_resolved():
    rows = steps(fusion=1.98, eye=0.05, n=48, limit=1.0)
    assert found("T18", rows, "convlstm").outcome == "inconclusive"


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_clipping_does_not_see_the_unit_of_the_loss(factor):
    norms = np.random.default_rng(1).lognormal(0, 1, (80, 2))
    plain, scaled = penalty(norms, 0, 1.0), penalty(factor * norms, 0, factor)
    assert scaled[0].value == pytest.approx(plain[0].value)
    assert scaled[1] == plain[1]


def test_penalty_equals_its_definition():
    norms = np.random.default_rng(2).lognormal(0, 1, (80, 3))
    together = [min(1, 2 / sum(x**2 for x in row) ** 0.5) for row in norms]
    alone = [min(1, 2 / row[1]) for row in norms]
    driven = [sum(x**2 for x in row) ** 0.5 > 2 >= row[1] for row in norms]
    left, share = penalty(norms, 1, 2.0)
    assert left.value == pytest.approx(np.mean(together) / np.mean(alone))
    assert share == pytest.approx(np.mean(driven))


@given(st.integers(0, 1000), st.floats(0.3, 3.0))
def test_an_unlogged_limit_is_found_between_what_it_passed_and_what_not(seed, limit):
    rows = steps(fusion=limit, eye=limit / 2, limit=limit, seed=seed)
    _, guessed = clipped_norms(rows, ["convlstm", "head"])
    if guessed is None:
        assert not any(r["clipped"]["total"] for r in rows)
    else:
        assert guessed == pytest.approx(limit, rel=0.2)


def test_a_groups_own_limit_comes_first():
    rows = [
        {"gradient_norms": {"a": x, "b": 1.0}, "clipped": {"a": x > 10, "total": False}}
        for x in np.linspace(1, 100, 100)
    ]
    norms, limit = clipped_norms(rows, ["a", "b"])
    assert norms[:, 0].max() == pytest.approx(np.sqrt(10 * 11))
    assert limit is None


def test_all_steps_clipped_leave_the_smallest_norm_as_the_limit():
    _, limit = clipped_norms(steps(fusion=30.0, limit=0.1), ["convlstm", "head"])
    assert limit == pytest.approx(min(r["gradient_norms"]["total"] for r in steps(fusion=30.0)))


def test_a_falling_validation_loss_is_healthy():
    assert found("T19", epochs()).outcome == "healthy"


RISING = np.linspace(0.5, 1.0, 20)
NOTHING = {"image_effect": 0.0, "wind_effect": 0.0}


@pytest.mark.parametrize(
    ("model", "world"),
    [
        ({"image": 0.0}, {}),  # the images hold more than the kept epoch has learned
        ({"image": 0.0, "wind": 0.0, "noise": 0.2}, NOTHING),  # worse than its own mean
    ],
)
def test_memorising_from_the_first_epoch_is_a_fault_where_it_costs_skill(model, world):
    said = found("T19", epochs(validation=RISING), model=line(**model), **world)
    assert (said.outcome, said.cause) == ("fault", "memorisation")
    assert "best epoch 1 of 20" in said.reason and "lacks skill" in said.reason


@pytest.mark.parametrize(
    ("model", "world"),
    [
        ({}, {}),  # the first epoch has learned all there is
        ({"image": 0.002, "wind": 0.002}, NOTHING),  # nothing can be known
    ],
)
def test_memorising_that_costs_the_kept_forecast_nothing_is_no_fault(model, world):
    said = found("T19", epochs(validation=RISING), model=line(**model), **world)
    assert said.outcome == "healthy"
    assert "costs the forecast that was kept nothing" in said.reason


def test_whether_memorising_costs_skill_is_not_guessed_from_a_handful_of_windows():
    said = found("T19", epochs(validation=RISING), n=40)
    assert said.outcome == "inconclusive" and "not resolved" in said.reason


def test_overfitting_after_a_good_epoch_is_told_but_no_fault():
    curve = np.concatenate([np.linspace(1, 0.5, 8), np.linspace(0.5, 1.0, 12)])
    said = found("T19", epochs(validation=curve))
    assert said.outcome == "healthy"
    assert "stopping at the best epoch avoids" in said.reason


def test_a_flat_curve_whose_first_epoch_is_best_is_not_resolved():
    curve = np.full(20, 0.5)
    curve[0] = 0.48
    rows = epochs(validation=curve)
    for e, r in enumerate(rows):
        r["validation_loss"] = 0.5 + 0.01 * (-1) ** e * (e > 0) - 0.05 * (e == 0)
    assert found("T19", rows).outcome == "inconclusive"


def test_a_plateau_after_a_good_epoch_is_healthy():
    rows = epochs()
    for e, r in enumerate(rows):
        r["validation_loss"] = 0.5 + 0.01 * (-1) ** e if e != 6 else 0.485
    said = found("T19", rows)
    assert said.outcome == "healthy"
    assert "no rise after it" in said.reason


def test_only_the_last_stage_is_judged():
    rows = epochs(validation=np.linspace(0.5, 1.0, 20)) + [
        {**r, "stage": "joint"} for r in epochs()
    ]
    assert found("T19", rows).outcome == "healthy"


@given(st.floats(1e-3, 1e3))
def test_overfit_share_does_not_see_the_unit_of_the_loss(factor):
    loss = np.array([[r["loss"], r["validation_loss"]] for r in epochs()])
    assert overfit_share(factor * loss).value == pytest.approx(overfit_share(loss).value)


def test_overfit_share_equals_its_definition():
    loss = np.array([[1.0, 0.5], [0.8, 0.6], [0.7, 0.8], [0.5, 0.9]])
    assert overfit_share(loss).value == pytest.approx(0.4 / (0.4 + 0.5))


@pytest.mark.parametrize("check", TRAINING_CHECKS)
def test_without_a_log_the_reason_is_told(check):
    said = found(check, [])
    assert said.outcome == "not_applicable"
    assert "training log" in said.reason


def test_short_logs_decide_nothing():
    with pytest.raises(TooFew, match="needs 5 epochs"):
        LearnsAtPace().run(evidence(epochs(n=3)))
    with pytest.raises(TooFew, match="40 steps"):
        ClipsFairly().run(evidence(steps(n=10)))
    rows = [*epochs(n=6), *({**r, "stage": "joint"} for r in epochs(n=3))]
    with pytest.raises(TooFew, match="5 epochs of a stage"):
        OverfitOnset().run(evidence(rows))
    with pytest.raises(NotApplicable, match="epochs of a training log"):
        OverfitOnset().run(evidence(steps()))


def test_logs_without_features_or_with_one_branch():
    bare = [{k: v for k, v in r.items() if k != "features"} for r in epochs()]
    with pytest.raises(NotApplicable, match="features by branch"):
        LearnsAtPace().run(evidence(bare))
    for r in (rows := epochs()):
        r["features"] = {"images": r["features"]["images"]}
    with pytest.raises(NotApplicable, match="between two branches"):
        LearnsAtPace().run(evidence(rows))
    with pytest.raises(NotApplicable, match="gradient norms"):
        ClipsFairly().run(evidence(epochs()))
