"""What a running consumer can tell of itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from time import time

from consumers.concurrency import monotonic
from consumers.core.histogram import Histogram
from consumers.core.outcomes import Outcomes, Tally
from consumers.core.records import Record
from consumers.engine.events import Events
from consumers.engine.health import Pace
from consumers.stages import Stages

CHUNK_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
FRESHNESS_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21600.0)


@dataclass
class Statistics:
    """Counts of one run. `started` is in monotonic seconds."""

    consumer: str
    tally: Tally = field(default_factory=Tally)
    failed_by_reason: Counter[str] = field(default_factory=Counter)
    chunks: int = 0
    stages: Stages = field(default_factory=Stages)
    started: float = field(default_factory=monotonic)
    pace: Pace | None = None
    """What the run adapts, where it does."""
    events: Events = field(default_factory=Events)
    rebalances: int = 0
    """How often partitions were assigned, revoked or lost."""
    fenced: int = 0
    """How many partitions another member was found to have claimed."""
    polled_at: float = field(default_factory=monotonic)
    """When the source was last polled, in monotonic seconds."""
    broker: str = ""
    """What keeps the broker away, in an outage."""
    settled_at: float | None = None
    """When a chunk was last settled, in monotonic seconds."""
    chunk_seconds: Histogram = field(default_factory=lambda: Histogram(CHUNK_BOUNDS))
    freshness_seconds: Histogram = field(default_factory=lambda: Histogram(FRESHNESS_BOUNDS))
    freshness: float | None = None
    """How old, in seconds, the last record of a chunk was when it was settled, by its own timestamp."""

    def add(self, outcomes: Outcomes) -> None:
        self.tally.add(outcomes.tally())
        self.failed_by_reason.update(failure.reason for failure in outcomes.failures)
        self.chunks += 1

    def settled(self, last: Record, seconds: float) -> None:
        """A chunk was settled, in so many seconds; `last` is its last record, the one to look at for how far behind the
        run is."""
        self.settled_at = monotonic()
        self.chunk_seconds.add(seconds)
        if last.timestamp is not None:
            self.freshness = max(0.0, time() - last.timestamp / 1000)
            self.freshness_seconds.add(self.freshness)

    @property
    def seconds(self) -> float:
        return monotonic() - self.started

    def summary(self) -> dict[str, object]:
        """As printed by `consume --json`."""
        return {
            "consumer": self.consumer,
            **self.tally.as_dict(),
            "failed_by_reason": dict(self.failed_by_reason),
            "seconds": round(self.seconds, 3),
            "stages": self.stages.rounded(),
            **self.adapted(),
        }

    def adapted(self) -> dict[str, int | str]:
        """How many lanes of the process may write at once, how large this consumer's chunks may be, and why."""
        if self.pace is None:
            return {}
        health = self.pace.health
        return {
            "limit": health.gate.limit,
            "chunk_records": self.pace.batch.chunk_records,
            "last_move": health.last_move,
        }
