"""At most so many requests a second to one host, whatever the number of threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import final


@final
class Pace:
    """Turns at a host are handed out in order; a host that asks for a rest gets it.

    Parameters
    ----------
    per_second : requests a second to one host.
    clock, sleep : replaced in tests.
    """

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._gap = 1.0 / per_second
        self._clock, self._sleep = clock, sleep
        self._next: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait(self, host: str) -> None:
        """Sleep until it is this caller's turn at `host`."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next.get(host, now))
            self._next[host] = turn + self._gap
        if turn > now:
            self._sleep(turn - now)

    def rest(self, host: str, seconds: float) -> None:
        """Nobody asks `host` for so long."""
        with self._lock:
            self._next[host] = max(self._next.get(host, 0.0), self._clock() + seconds)
