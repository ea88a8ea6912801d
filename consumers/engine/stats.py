"""What a running consumer can tell of itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from consumers.concurrency import monotonic
from consumers.core.outcomes import Outcomes, Tally
from consumers.engine.health import Pace
from consumers.stages import Stages


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

    def add(self, outcomes: Outcomes) -> None:
        self.tally.add(outcomes.tally())
        self.failed_by_reason.update(failure.reason for failure in outcomes.failures)
        self.chunks += 1

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
