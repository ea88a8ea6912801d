"""Where the time goes: seconds by stage, the budget that a run's summary shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from consumers.concurrency import monotonic

NAMES = ("poll", "decode", "prefetch", "process", "write", "settle", "wait")
"""`settle` is a chunk's whole transaction, `write` the part of it that rows take. `wait` is a lane without work."""


class Stages:
    """Seconds of the clock. Lanes work side by side, so that the sum may exceed that of the run."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(NAMES, 0.0)
        self.on_spent: Callable[[str, float], None] | None = None
        """Told of each block, in the greenlet that spent it: the stage and its seconds."""

    @contextmanager
    def spend(self, name: str) -> Iterator[None]:
        """Count the block's time for a stage, also if it raises."""
        start = monotonic()
        try:
            yield
        finally:
            seconds = monotonic() - start
            self.seconds[name] += seconds
            if self.on_spent is not None:
                self.on_spent(name, seconds)

    def rounded(self) -> dict[str, float]:
        return {name: round(seconds, 3) for name, seconds in self.seconds.items()}
