"""How remedies are tried: the limits of an improvement."""

from __future__ import annotations

from dataclasses import dataclass

from heliosight.core.errors import ConfigError

LEAST_ISSUES = 4  # fewer leave no error to the ceiling on some day
MOST = 1_000_000  # of anything counted; more would take all memory before the first result
MOST_SEEDS = 1000


@dataclass(frozen=True)
class ImproveConfig:
    """How remedies are tried.

    Attributes
    ----------
    fold : the fold that is improved, -1 the last.
    seeds : paired seeds of every arm, counted up from the run's.
    epochs : of an arm, after those of the ill model; 0 takes as many again.
    screen_epochs : of a screening arm that is no schedule; 0 takes as many as an arm.
    windows : forecasts of the trial block that are compared, evenly spaced.
    margin : a rise of the mean squared error by less than this share of the target's variance
        counts as no loss.
    minutes, trials : stop after so much; 0 is no limit. What was finished is kept.
    rounds : after a repair the model is diagnosed again, so often in all.
    every_remedy : try also the remedies of a fault that another one has already repaired.
    replicates : draws of the block bootstrap.
    explained : windows whose maps are compared before and after.
    transfer : weights of a run on a simulated Sun that an image branch may begin with; empty for
        none.
    knowable_issues : issue times of the oracle's Monte Carlo of what anybody could know, 4 or more.
    study_seeds : seeds of every case of the repair study.
    certified : a half of a certificate; `improve study` counts what its healthy models would be
        prescribed, and runs no case.
    """

    fold: int = -1
    seeds: int = 3
    epochs: int = 0
    screen_epochs: int = 1
    windows: int = 1024
    margin: float = 0.02
    minutes: float = 0.0
    trials: int = 0
    rounds: int = 4
    every_remedy: bool = False
    replicates: int = 1000
    explained: int = 24
    transfer: str = ""
    knowable_issues: int = 40
    study_seeds: int = 10
    certified: str = ""

    def __post_init__(self) -> None:
        counts = (
            "seeds", "windows", "rounds", "replicates", "explained", "knowable_issues",
            "study_seeds",
        )  # fmt: skip
        for name in counts:
            if getattr(self, name) < 1:
                raise ConfigError(
                    "a count is at least 1", str(getattr(self, name)), where=f"improve.{name}"
                )
            most = MOST_SEEDS if name.endswith("seeds") else MOST
            if getattr(self, name) > most:
                raise ConfigError(
                    f"a count is at most {most}", str(getattr(self, name)),
                    "More would fill the memory before the first result.", f"improve.{name}",
                )  # fmt: skip
        if self.knowable_issues < LEAST_ISSUES:
            raise ConfigError(
                f"the error of what is knowable needs at least {LEAST_ISSUES} issue times",
                str(self.knowable_issues),
                "Leave it at 40; fewer make the ceiling rougher, not the run much faster.",
                "improve.knowable_issues",
            )
        for name in ("epochs", "screen_epochs", "margin", "minutes", "trials"):
            if getattr(self, name) < 0:
                raise ConfigError(
                    "a limit is 0 or more", str(getattr(self, name)), where=f"improve.{name}"
                )
