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
        self.on_spent: Callable[[str, float], None] | None = None
        """Told of each block, in the greenlet that spent it: the stage and its seconds."""
        self._ended = dict.fromkeys(NAMES, 0.0)
        self._open: dict[object, tuple[str, float]] = {}
        """Blocks that have not ended: the stage, and when they began."""

    @contextmanager
    def spend(self, name: str) -> Iterator[None]:
        """Count the block's time for a stage, also if it raises."""
        start, block = monotonic(), object()
        self._open[block] = (name, start)
        try:
            yield
        finally:
            del self._open[block]
            seconds = monotonic() - start
            self._ended[name] += seconds
            if self.on_spent is not None:
                self.on_spent(name, seconds)

    def rounded(self) -> dict[str, float]:
        """Seconds by stage up to now. A block counts while it lasts: a lane's wait of an hour would otherwise come all
        at once when it ends, to whoever asks what the last minutes were spent on."""
        seconds, now = dict(self._ended), monotonic()
        for name, start in self._open.values():
            seconds[name] += now - start
        return {name: round(value, 3) for name, value in seconds.items()}
