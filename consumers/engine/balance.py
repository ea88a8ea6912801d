"""Work for lanes that have none: partitions differ in size, and a lane that has come to the end of its own takes one
over from a lane that is behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from consumers.core.records import TopicPartition
from consumers.engine.lane import Lane
from consumers.engine.partitions import Hold, Partitions


class Balance:
    """Over the lanes of one consumer. Does not wait for anything."""

    def __init__(self, partitions: Partitions, lanes: Sequence[Lane]) -> None:
        self._partitions = partitions
        self._lanes = lanes

    def even_out(self) -> None:
        """Give each lane for which nothing waits a partition of the lane for which most does, if that is a chunk or
        more and not all of one partition."""
        for number, lane in enumerate(self._lanes):
            if not lane.backlog.records:
                self._help(number, lane)

    def _help(self, number: int, idle: Lane) -> None:
        behind = max(self._lanes, key=lambda lane: lane.backlog.records)
        source = _part_of(behind.backlog.waiting()) if behind.is_behind else None
        partition = self._partitions.get(source) if source is not None else None
        if partition is not None and partition.hold is Hold.ACTIVE:
            partition.lane = number
            behind.hand_over(partition.source, idle)


def _part_of(waiting: Mapping[TopicPartition, int]) -> TopicPartition | None:
    """The partition with most records that are not more than half of all; None if there is none."""
    half = sum(waiting.values()) / 2
    parts = {source: records for source, records in waiting.items() if 0 < records <= half}
    return max(parts, key=parts.__getitem__, default=None)
