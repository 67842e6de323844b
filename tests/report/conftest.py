"""A small made-up report: 2 channels, 4 frames, 3 variables, every kind of answer."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from heliosight.core.clock import HOUR, to_seconds, to_text
from heliosight.core.records import (
    DatasetCard,
    Diagnosis,
    Explanation,
    Finding,
    Interval,
    Provenance,
    Scorecard,
    SelfCheck,
    SkillRow,
    TableCard,
    TrainedRun,
    VariableCoverage,
)
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.report import ForecastExample, ReportInputs

ISSUE = to_seconds("2015-03-17T00:00:00Z")
LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
CHANNELS, FRAMES, SIDE, STEPS = ("aia_193", "hmi_magnetogram"), 4, 8, 6
VARIABLES = ("speed", "density", "bz_gsm")
TIMES = tuple(to_text(ISSUE - 6 * HOUR * k) for k in reversed(range(FRAMES)))


FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1280,900",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no browser: install chromium and chromedriver (Debian: chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = webdriver.Chrome(options=options, service=Service(driver))
    yield running
    running.quit()


@pytest.fixture
def example() -> ForecastExample:
    past = ISSUE - 3 * HOUR * np.arange(16, 0, -1)
    valid = ISSUE + 3 * HOUR * np.arange(24)
    median = np.linspace(4.0, 160.0, 24)
    observed = np.append(np.full(20, 27.0), np.full(4, np.nan))
    drivers = {
        "bz_gsm": np.linspace(-8, 5, 16),
        "speed": np.linspace(380, 520, 16),
        "density": np.full(16, 5.0),
    }
    return ForecastExample(
        issue_time=ISSUE,
        last_input_time=ISSUE - HOUR,
        past_time=past,
        past_ap=np.full(16, 12.0),
        valid_time=valid,
        levels=LEVELS,
        quantiles=median[:, None] * np.array([0.3, 0.7, 1.0, 1.4, 2.2]),
        mean=median * 1.1,
        event_probability=np.array([[0.4, 0.1, 0.01], [0.7, 0.3, 0.1], [0.9, 0.6, 0.2]]),
        observed=observed,
        driver_time=past,
        drivers=drivers,
    )


@pytest.fixture
def maps() -> np.ndarray:
    """`(C, T, H, W)`; each frame has one pixel of its own, the first channel is positive."""
    out = np.zeros((len(CHANNELS), FRAMES, SIDE, SIDE))
    for t in range(FRAMES):
        out[0, t, t, t], out[1, t, t, t] = 1.0 + t, -0.5
    return out


@pytest.fixture
def explanations(maps: np.ndarray) -> tuple[tuple[Explanation, dict[str, np.ndarray]], ...]:
    frames = (np.arange(maps.size) // 2).reshape(maps.shape).astype(np.uint8)
    series = np.arange(STEPS * 3, dtype=float).reshape(STEPS, 3) - 8
    passed = SelfCheck("completeness", True, 0.004, "gap under 2 %")
    failed = SelfCheck(
        "randomisation", False, 0.93, "correlation under 0.5", "Weights are ignored."
    )
    shared = {
        "target": "mean_ap_day2", "units": "ap (2 nT)", "baseline": "disc median",
        "issue_time": to_text(ISSUE), "forecast": 27.5, "channels": CHANNELS, "frame_times": TIMES,
    }  # fmt: skip
    first = Explanation(method="integrated_gradients", checks=(passed,), **shared)
    second = Explanation(method="grad_cam", checks=(passed, failed), notes=("a note",), **shared)
    profile = {"profile": np.array([1.0, -2.0, 3.0, 0.5])}
    profile |= {"profile_low": profile["profile"] - 1, "profile_high": profile["profile"] + 1}
    return (
        (first, {"images": maps, "frames": frames, "solar_wind": series}),
        (second, {"images": maps.sum(0), "frames": frames, **profile}),
    )


@pytest.fixture
def scorecard() -> Scorecard:
    def row(system: str, part: str, value: float, half: float) -> SkillRow:
        metrics = {
            "rmse_ap_pooled": Interval(value, value - half, value + half, how="27-day blocks"),
            "corr_log_within": Interval(0.4),
        }
        return SkillRow(system, part, metrics)

    slices = ["day 1", "day 2", "day 3"] + [f"lead {k + 1}" for k in range(24)]
    rows = [
        row(s, p, 10.0 + i, 1.0) for s in ("forecaster", "damped") for i, p in enumerate(slices)
    ]
    changes = [("day 1", -1.5, 0.5), ("day 2", -0.2, 0.5), ("day 3", 0.9, 0.5)]
    differences = [row("forecaster - damped", *change) for change in changes]
    return Scorecard(
        rows=tuple(rows), differences=tuple(differences), reference="damped", issue_times=100,
        first_issue="2015-01-01T00:00:00Z", last_issue="2016-12-31T21:00:00Z", folds=("2015",),
        notes=("pooled over folds",),
    )  # fmt: skip


@pytest.fixture
def diagnosis() -> Diagnosis:
    def finding(check: str, outcome: Any, subject: str, value: Interval | None) -> Finding:
        return Finding(
            check, f"question {check}?", subject, outcome, "statistic", value, f"rule {check}",
            f"reason {check}", "state_not_carried" if outcome == "fault" else "",
            "Carry the state." if outcome == "fault" else "",
        )  # fmt: skip

    return Diagnosis(
        subject="forecaster", windows=64, verdict="The images are not used.",
        findings=(
            finding("A1", "healthy", "solar_wind", Interval(0.5, 0.4, 0.6, how="blocks")),
            finding("A2", "not_applicable", "fusion", None),
            finding("A3", "benign_unused", "images", Interval(0.0)),
            finding("A4", "inconclusive", "images", Interval(1.0, -1.0, 3.0)),
            finding("A5", "fault", "images", Interval(0.0, 0.0, 1e-9)),
        ),
    )  # fmt: skip


@pytest.fixture
def training_log() -> list[dict[str, Any]]:
    log: list[dict[str, Any]] = [{"kind": "start"}]
    for epoch in (1, 2):
        norms, rates = {"convlstm": 1e-4, "head": 1.0}, {"head": 1e-4}
        common = {"kind": "step", "epoch": epoch, "gradient_norms": norms, "rates": rates}
        log += [{**common, "step": step, "loss": 1.0} for step in (1, 2, 3)]
        log.append(
            {
                "kind": "epoch", "epoch": epoch, "loss": 1.0 / epoch, "validation_loss": 1.2,
                "features": {"images": {"mean": 0.0, "std": 0.01}}, "hidden_norm": [0.1, 0.2, 0.3],
            }
        )  # fmt: skip
    return log


@pytest.fixture
def inputs(
    example: ForecastExample,
    explanations: Any,
    scorecard: Scorecard,
    diagnosis: Diagnosis,
    training_log: list[dict[str, Any]],
) -> Callable[..., ReportInputs]:
    """A whole report's inputs; keywords replace parts of them."""
    how = Provenance(
        "heliosight demo", 3, "2026-01-01T00:00:00Z", {"torch": "2.13.0"}, {"data": "d" * 64},
        "e" * 64, True,
    )  # fmt: skip
    column = VariableCoverage("speed", "km s-1", 1, 2, 100, 420.0, 80.0)
    table = TableCard(
        "solar_wind", "series", "2015-01-01T00:00:00Z", "2016-01-01T00:00:00Z", 3, 100, 0, 0,
        (column,),
    )  # fmt: skip
    spec = ForecastSpec(
        {
            "images": ModalitySpec("images", "images", CHANNELS, FRAMES, 6, size=SIDE),
            "solar_wind": ModalitySpec("series", "solar_wind", VARIABLES, STEPS, 3),
        }
    )
    whole = {
        "title": "small Sun", "simulated": True,
        "dataset": DatasetCard(
            how, "small Sun", (table,), {"sun": "made"}, {"sun": "free"}, ("a hole",), "f" * 64
        ),
        "trained": TrainedRun(
            how, "forecaster", {"seed": 3}, 1234, 2, 1, 1.2, "a" * 64, "f" * 64, 9.0
        ),
        "training_log": training_log, "scorecard": scorecard, "diagnosis": diagnosis,
        "explanations": explanations, "example": example, "oracle": {"rmse": {"day 1": 8.5}},
        "spec": spec, "command": "heliosight demo seed=3", "created": "2026-01-01T00:00:00Z",
    }  # fmt: skip

    def make(**changes: Any) -> ReportInputs:
        return ReportInputs(**{**whole, **changes})

    return make
