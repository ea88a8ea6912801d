"""An in-memory source that keeps the `RecordSource` contract: test your consumers with it, without a broker.

log = MemoryLog({"ads.clicks": 1})
log.append("ads.clicks", b'{"event_id": ...}')
statistics = run_consumer(ClickConsumer, log)
assert statistics.tally.written == 1
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from consumers.concurrency import Permits, sleep
from consumers.consumer import BatchConsumer
from consumers.core.errors import Misconfigured, TransientError
from consumers.core.records import Headers, Record, TopicPartition
from consumers.core.source import Committed, Fetched, Offsets, Polled, RebalanceListener
from consumers.engine.runner import Runner, RunOptions
from consumers.engine.stats import Statistics
from consumers.settings import EngineSettings, engine_settings

_OURS = "ours"


class MemoryLog:
    """Topics in memory: what a broker keeps. Shared by the members of any group."""

    def __init__(self, partitions: Mapping[str, int]) -> None:
        """`partitions`: their number, by topic."""
        self.partitions = {
            TopicPartition(topic, number): list[Record]()
            for topic, count in partitions.items()
            for number in range(count)
        }
        self.first: dict[TopicPartition, int] = defaultdict(int)
        self.next: dict[TopicPartition, int] = defaultdict(int)
        self.committed: dict[tuple[str, TopicPartition], tuple[int, str]] = {}

    def append(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        timestamp: int | None = None,
        partition: int = 0,
    ) -> Record:
        """Add a record at a partition's end."""
        source = TopicPartition(topic, partition)
        record = Record(source, self.next[source], value, key, headers, timestamp)
        self.partitions[source].append(record)
        self.next[source] += 1
        return record

    def skip(self, topic: str, partition: int = 0, count: int = 1) -> None:
        """Use up offsets without a record, as compaction and transaction markers do."""
        self.next[TopicPartition(topic, partition)] += count

    def truncate(self, topic: str, before: int, partition: int = 0) -> None:
        """Forget records below an offset, as retention does."""
        source = TopicPartition(topic, partition)
        self.partitions[source] = [record for record in self.partitions[source] if record.offset >= before]
        self.first[source] = before


class MemorySource:
    """A member of a group that reads a `MemoryLog`. Assignment is by hand: `assign`, `revoke`, `lose` take effect in
    the next poll; a source that was told nothing assigns itself every partition of its topics."""

    def __init__(self, log: MemoryLog, topics: Collection[str], group: str, *, assign_all: bool = True) -> None:
        self.log = log
        self.group = group
        self.topics = list(topics)
        self.is_closed = False
        self._pending: list[tuple[str, list[TopicPartition]]] = []
        self._positions: dict[TopicPartition, int | None] = {}
        self._generations: dict[TopicPartition, int] = {}
        self._generation = 0
        self._told_end: dict[TopicPartition, int] = {}
        self._assign_all = assign_all

    # ---- what a test makes the group do -----------------------------------------------------------------------------

    def assign(self, *sources: TopicPartition) -> None:
        self._pending.append(("assign", list(sources)))

    def revoke(self, *sources: TopicPartition) -> None:
        self._pending.append(("revoke", list(sources)))

    def lose(self, *sources: TopicPartition) -> None:
        self._pending.append(("lose", list(sources)))

    # ---- what a subclass may do differently --------------------------------------------------------------------------

    def wait(self, timeout: float) -> None:
        """What a poll that found nothing does; a member that is tested alone need not wait for long."""
        sleep(min(timeout, 0.001))

    def let_go(self, sources: Collection[TopicPartition]) -> None:
        """Partitions are not this member's any more; the listener has heard of it."""
        for source in sources:
            self._positions.pop(source, None)

    # ---- RecordSource -----------------------------------------------------------------------------------------------

    def open(self, listener: RebalanceListener, spawn: Callable[..., object]) -> None:
        self._listener = listener
        everything = self.partitions()
        if self._assign_all:
            self.assign(*everything)

    def poll(self, max_records: int, max_bytes: int, timeout: float) -> Polled:
        polled = Polled()
        self._rebalance(polled)
        room = max_records
        for source in list(self._positions):
            room -= self._fetch(source, room, max_bytes, polled)
        if not polled.fetched:
            self.wait(timeout)
        polled.trigger = "size" if room <= 0 else "end" if polled.ends else "time"
        return polled

    def start_at(self, offsets: Offsets) -> dict[TopicPartition, int]:
        started = {}
        for source, offset in offsets.items():
            if source in self._positions:
                self._generation += 1
                self._generations[source] = started[source] = self._generation
                self._positions[source] = max(offset, self.log.first[source])
                self._told_end.pop(source, None)
        return started

    def pause(self, sources: Collection[TopicPartition]) -> None:
        for source in sources:
            if source in self._positions:
                self._positions[source] = None

    def commit(self, offsets: Offsets, *, wait: bool = False) -> None:
        for source, offset in offsets.items():
            self.log.committed[self.group, source] = (offset, _OURS)

    def committed(self, sources: Collection[TopicPartition]) -> dict[TopicPartition, Committed]:
        found = {source: self.log.committed.get((self.group, source)) for source in sources}
        return {source: Committed(each[0], each[1] == _OURS) for source, each in found.items() if each is not None}

    def watermarks(self, sources: Collection[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        return {source: (self.log.first[source], self.log.next[source]) for source in sources}

    def ends(
        self, sources: Collection[TopicPartition], stale: Collection[TopicPartition] = ()
    ) -> dict[TopicPartition, int]:
        return {source: self.log.next[source] for source in sources}

    def partitions(self) -> list[TopicPartition]:
        missing = set(self.topics) - {source.topic for source in self.log.partitions}
        if missing:
            raise Misconfigured(f"topic {', '.join(sorted(missing))} does not exist in this log")
        return [source for source in self.log.partitions if source.topic in self.topics]

    def close(self) -> None:
        self.is_closed = True
        self._positions.clear()

    def _rebalance(self, polled: Polled) -> None:
        while self._pending:
            what, sources = self._pending.pop(0)
            if what == "assign":
                self._positions |= dict.fromkeys(sources, None)
                polled.assigned.extend(sources)
                continue
            if what == "revoke":
                settled = self._listener.revoked(sources)
                with suppress(TransientError):
                    self.commit(settled)
            else:
                self._listener.lost(sources)
            self.let_go(sources)
            polled.assigned = [source for source in polled.assigned if source in self._positions]

    def _fetch(self, source: TopicPartition, room: int, max_bytes: int, polled: Polled) -> int:
        position = self._positions[source]
        if position is None or room <= 0:
            return 0
        held = self.log.partitions[source]
        first = bisect_left(held, position, key=lambda record: record.offset)
        records = held[first : first + room]
        while len(records) > 1 and sum(record.size for record in records) > max_bytes:
            records.pop()
        if records:
            self._positions[source] = records[-1].offset + 1
            polled.fetched.append(Fetched(source, self._generations[source], records))
        elif self._told_end.get(source) != self.log.next[source]:
            self._told_end[source] = self.log.next[source]
            polled.ends[source] = (self._generations[source], self.log.next[source])
        return len(records)


def run_consumer(
    consumer: type[BatchConsumer[Any, Any]],
    log: MemoryLog,
    *,
    options: RunOptions | None = None,
    settings: EngineSettings | None = None,
) -> Statistics:
    """Run a consumer over all that a log holds, to its end, and return the counts of the run.

    Raises:
        FatalError: as the consumer's process would stop.
    """
    settings = settings or engine_settings()
    options = options or RunOptions(until_end=True)
    source = MemorySource(log, consumer.topics, options.group or consumer.name)
    runner = Runner(consumer(), source, settings, Permits(settings.permits), options)
    runner.run()
    return runner.statistics
