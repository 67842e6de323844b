"""What the oracle knows about one simulated Sun; the only workflow that may hold an oracle.

It is asked after a model has been trained, for the truth of windows and for what was achievable;
nothing that makes data or trains imports this.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from heliosight.sun import Knowable, Oracle, SunConfig


class KnownSun:
    """One world's truths.

    `issues` and `members` are those of the Monte Carlo ceiling, see `sun.information`.
    """

    def __init__(self, config: SunConfig, issues: int, members: int) -> None:
        self.config, self.issues, self.members = config, issues, members

    @cached_property
    def oracle(self) -> Oracle:
        """Built when first asked: a finished score needs none."""
        return Oracle(self.config)

    def truth(self, issue: int, leads: range, frames: int) -> np.ndarray:
        """`(C, T, H, W)` [ap]: what the holes sent at each frame's time does to the leads' mean."""
        return self.oracle.sent(issue, leads, frames).values

    def bracket(self, leads: range) -> tuple[float, float]:
        """Least and largest share of the variance of the day's mean log1p(ap) that images allow."""
        day = leads.start // 8 + 1
        found = next(k for k in self._images if k.day == day)
        return found.floor, found.ceiling or 0.0

    @cached_property
    def _images(self) -> list[Knowable]:
        known = self.oracle.achievable(self.issues, self.members, ())
        return [k for k in known if k.information == "images"]
