"""What is explained: named functions of the forecast, each with its unit."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import ConfigError, NotApplicable
from heliosight.core.spec import ForecastSpec
from heliosight.subject import Subject

HOURS_A_DAY = 24
EVENTS, DAYS = "event_probability", "day_event_probability"


@final
@dataclass(frozen=True)
class Target:
    """A scalar function of the forecast.

    Attributes
    ----------
    name : what configs call it.
    units : of its value and hence of every attribution.
    words : what it is, for a figure.
    of_leads : from `(B, L)`, or `(B, D)` of a quantity by day, to `(B,)`.
    leads : which leads it looks at.
    quantity : which of the subject's quantities it is taken of.
    """

    name: str
    units: str
    words: str
    of_leads: Callable[[Tensor], Tensor]
    leads: range
    quantity: str = "forecast"

    def value(self, subject: Subject, batch: Batch) -> Tensor:
        """The target of each window, `(B,)`, with the graph the subject gives.

        Raises
        ------
        NotApplicable : the subject does not give the quantity.
        """
        if self.quantity == "forecast":
            return self.of_leads(subject.score(batch))
        found = subject.quantities(batch)
        if self.quantity not in found:
            raise NotApplicable(
                f"target {self.name!r} needs a subject that gives {self.quantity}",
                f"quantities {sorted(found)}",
                "Choose a target of the mean forecast, for example mean_ap_day1"
                + (", or largest_p_g1_day1, a lower bound of it." if EVENTS in found else "."),
            )
        return self.of_leads(found[self.quantity])


def _mean(leads: range) -> Callable[[Tensor], Tensor]:
    return lambda forecast: forecast[:, leads.start : leads.stop].mean(1)


def _highest(leads: range) -> Callable[[Tensor], Tensor]:
    """The day's largest interval probability: a lower bound of P(any interval)."""
    return lambda probability: probability[:, leads.start : leads.stop].amax(1)


def known_targets(spec: ForecastSpec) -> dict[str, Target]:
    """All targets of a forecast with `spec`'s leads and lead spacing, by name."""
    unit = "ap (2 nT)" if spec.target == "ap" else spec.target
    per_day = HOURS_A_DAY // spec.lead_hours
    days = {d + 1: range(d * per_day, (d + 1) * per_day) for d in range(spec.leads // per_day)}
    every = range(spec.leads)
    found = [Target("mean_ap", unit, "mean over all leads", _mean(every), every)]
    for day, leads in days.items():
        found.append(Target(f"mean_ap_day{day}", unit, f"mean of day {day}", _mean(leads), leads))
    for lead in every:
        one, hours = range(lead, lead + 1), lead * spec.lead_hours
        words = f"value of the interval starting at +{hours} h"
        found.append(Target(f"ap_at_{hours}h", unit, words, _mean(one), one))
    for day, leads in days.items():
        words = f"probability of Kp >= 5- (G1) in any interval of day {day}, leads joined"
        of_day = _mean(range(day - 1, day))
        found.append(Target(f"p_g1_day{day}", "probability", words, of_day, leads, DAYS))
        words = f"largest single-interval probability of Kp >= 5- (G1) on day {day} (lower bound)"
        name = f"largest_p_g1_day{day}"
        found.append(Target(name, "probability", words, _highest(leads), leads, EVENTS))
    return {target.name: target for target in found}


def target_named(name: str, spec: ForecastSpec) -> Target:
    """The target of that name.

    Raises
    ------
    ConfigError : no such target; the message names the nearest and the known ones.
    """
    known = known_targets(spec)
    if name not in known:
        close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)
        raise ConfigError(
            "a target is a named function of the forecast",
            repr(name),
            f"Nearest: {close[0]!r}. Known: {', '.join(known)}.",
            "explain.method.target",
        )
    return known[name]
