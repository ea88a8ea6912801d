"""Sending at an even pace."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pacer:
    """Holds a loop back to `rate` rounds per second on average; None lets it run free."""

    def __init__(
        self,
        rate: float | None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rate = rate
        self._now, self._sleep = now, sleep
        self._started = now()
        self._rounds = 0

    def wait(self) -> None:
        """Return when the next round is due. A loop that fell behind catches up."""
        if self.rate is None:
            return
        ahead = self._started + self._rounds / self.rate - self._now()
        self._rounds += 1
        if ahead > 0.001:  # shorter sleeps overshoot; the average keeps right without them
            self._sleep(ahead)
