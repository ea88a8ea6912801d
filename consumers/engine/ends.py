"""Where the logs of a member's partitions end, for whoever wants to know its lag."""

from __future__ import annotations

from consumers.concurrency import monotonic
from consumers.core.source import RecordSource
from consumers.engine.partitions import Hold, Partitions

ASK_EVERY = 10.0


class Ends:
    """Notes the ends on the partitions. Of those that are read the source knows them; for those that are paused the
    broker is asked, now and then."""

    def __init__(self, source: RecordSource, partitions: Partitions) -> None:
        self._source = source
        self._partitions = partitions
        self._asked_at = float("-inf")

    def look(self) -> None:
        held = list(self._partitions)
        read = [each.source for each in held if each.hold is Hold.ACTIVE and not each.paused]
        stale = [each.source for each in held if each.source not in read] if self._is_time_to_ask() else []
        if read or stale:
            ends = self._source.ends([*read, *stale], stale)
            for partition in held:
                partition.end = ends.get(partition.source, partition.end)

    def _is_time_to_ask(self) -> bool:
        if monotonic() - self._asked_at < ASK_EVERY:
            return False
        self._asked_at = monotonic()
        return True
