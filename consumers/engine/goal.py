"""When a run is over by itself: at the end offsets seen at its start, or after so many records."""

from __future__ import annotations

from consumers.concurrency import monotonic
from consumers.core.records import TopicPartition
from consumers.core.source import RecordSource
from consumers.engine.hold import Holder
from consumers.engine.partitions import Partitions
from consumers.engine.storage import Storage


class Goal:
    """Watches a run's limits. Without any it is never reached."""

    def __init__(
        self,
        until_end: bool,
        max_records: int,
        source: RecordSource,
        partitions: Partitions,
        storage: Storage,
        holder: Holder,
    ) -> None:
        self._until_end = until_end
        self._left = max_records or None
        self._source = source
        self._partitions = partitions
        self._storage = storage
        self._holder = holder
        self._ends: dict[TopicPartition, int] = {}
        self._asked_at = 0.0
        self.is_met = False

    def set(self) -> None:
        """Note the end offsets; those of empty partitions are reached already."""
        if self._until_end:
            watermarks = self._source.watermarks(self._source.partitions())
            self._ends = {source: high for source, (low, high) in watermarks.items() if high > low}

    def allows(self, records: int) -> int:
        """How many records the next poll may bring."""
        return records if self._left is None else max(1, min(records, self._left))

    def take(self, records: int) -> int:
        """How many of these records still count; they are counted."""
        if self._left is None:
            return records
        taken = min(records, self._left)
        self._left -= taken
        return taken

    def reached(self) -> bool:
        self.is_met = self._left == 0 or (self._until_end and self._all_settled())
        return self.is_met

    def _all_settled(self) -> bool:
        """Whether each partition is settled to its end, by this member or, as the ledger tells, by another."""
        for source, end in list(self._ends.items()):
            partition = self._partitions.active(source)
            if partition is not None and partition.settled >= end:
                del self._ends[source]
        elsewhere = [source for source in self._ends if self._partitions.get(source) is None]
        if elsewhere and monotonic() - self._asked_at >= 0.5:
            known = self._holder.run(lambda: self._storage.known(elsewhere), "a look at the ledger")
            self._asked_at = monotonic()
            for source in elsewhere:
                if known.get(source, -1) >= self._ends[source]:
                    del self._ends[source]
        return not self._ends
