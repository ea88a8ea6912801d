"""What becomes of chunks, as the lanes report it: progress, counts, and partitions that another member has claimed."""

from __future__ import annotations

import logging
from collections.abc import Collection

from consumers.concurrency import monotonic
from consumers.core.chunks import Chunk
from consumers.core.outcomes import Outcomes
from consumers.core.records import TopicPartition
from consumers.engine.intake import Intake
from consumers.engine.partitions import Partitions, names_of
from consumers.engine.stats import Statistics

logger = logging.getLogger(__name__)


class Results:
    """The `LaneListener` of a run."""

    def __init__(self, partitions: Partitions, intake: Intake, statistics: Statistics, group: str) -> None:
        self._partitions = partitions
        self._intake = intake
        self._statistics = statistics
        self._name = statistics.consumer
        self._named = {"consumer": statistics.consumer, "group": group}

    def settled(self, chunk: Chunk, outcomes: Outcomes, seconds: float) -> None:
        for source, span in chunk.spans.items():
            partition = self._partitions.under(source, chunk.epochs[source])
            if partition is not None:
                partition.settled, partition.claims = span.end, 0
        if chunk.records:
            self._statistics.add(outcomes)
            self._statistics.settled(chunk.records[-1], seconds)
            self._tell(chunk, outcomes, seconds)

    def idle(self) -> None:
        self._intake.balance.even_out()

    def _tell(self, chunk: Chunk, outcomes: Outcomes, seconds: float) -> None:
        tally = outcomes.tally()
        logger.info(
            "%s settled %s in %.0f ms: %d written, %d duplicates, %d skipped, %d failed",
            self._name,
            chunk,
            seconds * 1000,
            tally.written,
            tally.duplicates,
            tally.skipped,
            tally.failed,
            extra={**self._named, **vars(tally), "ms": round(seconds * 1000, 1), "spans": chunk.spans},
        )

    def fenced(self, chunk: Chunk, sources: Collection[TopicPartition]) -> None:
        text = f"{self._name} was fenced: another member has claimed {names_of(sources)}"
        logger.warning("%s", text)
        self._statistics.events.add("fence", text)
        held = [self._partitions.under(source, chunk.epochs[source]) for source in sources]
        ours = [partition for partition in held if partition is not None]
        self._statistics.fenced += len(ours)
        self._intake.set_aside(ours, monotonic())
