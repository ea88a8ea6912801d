"""From batch to chunk: runs of one partition, cut so that memory and transactions stay bounded."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from consumers.core.policies import BatchPolicy
from consumers.core.records import Record, TopicPartition, total_size


class Span(NamedTuple):
    """Offsets of one partition, `start` included, `end` not. It may hold fewer records than offsets: compaction and
    transaction markers leave gaps."""

    start: int
    end: int


class Run(NamedTuple):
    """Consecutive records of one partition, the span that they settle, and the epoch under which it is held."""

    source: TopicPartition
    span: Span
    records: tuple[Record, ...]
    epoch: int = 0

    def split(self, count: int) -> tuple[Run, Run]:
        """The first `count` records (at least 1, fewer than all), and the rest."""
        border = self.records[count - 1].offset + 1
        head = self._replace(span=Span(self.span.start, border), records=self.records[:count])
        return head, self._replace(span=Span(border, self.span.end), records=self.records[count:])


@dataclass(frozen=True)
class Chunk:
    """The unit of one transaction: records of some partitions, in order within each."""

    spans: Mapping[TopicPartition, Span]
    records: tuple[Record, ...]
    epochs: Mapping[TopicPartition, int] = field(default_factory=dict)
    """The claim of each partition under which its records were taken."""

    @classmethod
    def of(cls, runs: Iterable[Run]) -> Chunk:
        """A chunk of runs; runs of the same partition must follow each other without a gap between their spans."""
        spans: dict[TopicPartition, Span] = {}
        epochs: dict[TopicPartition, int] = {}
        records: list[Record] = []
        for run in runs:
            known = spans.get(run.source)
            spans[run.source] = run.span if known is None else Span(known.start, run.span.end)
            epochs[run.source] = run.epoch
            records.extend(run.records)
        return cls(spans, tuple(records), epochs)

    def without(self, sources: Iterable[TopicPartition]) -> Chunk:
        """The same, less some partitions."""
        gone = frozenset(sources)
        spans = {source: span for source, span in self.spans.items() if source not in gone}
        return Chunk(spans, tuple(r for r in self.records if r.source not in gone), self.epochs)

    def __str__(self) -> str:
        spans = ", ".join(f"{source}@{span.start}-{span.end - 1}" for source, span in self.spans.items())
        return f"{len(self.records)} records of {spans}"


def gaps(spans: Mapping[TopicPartition, Span], records: Iterable[Record]) -> dict[TopicPartition, list[Span]]:
    """The parts of the spans, of two offsets or more, that hold no record. Single ones are left out: each end of a
    transaction leaves one."""
    found: dict[TopicPartition, list[Span]] = {source: [] for source in spans}
    reached = {source: span.start for source, span in spans.items()}

    def step(source: TopicPartition, offset: int) -> None:
        if offset - reached[source] >= 2:
            found[source].append(Span(reached[source], offset))
        reached[source] = offset + 1

    for record in records:
        step(record.source, record.offset)
    for source, span in spans.items():
        step(source, span.end)
    return {source: spans_ for source, spans_ in found.items() if spans_}


class _Weighed(NamedTuple):
    """A run and its bytes of payload, counted once: every record passes here."""

    run: Run
    size: int


@dataclass
class Backlog:
    """Runs that wait for their turn in a lane, and what they weigh."""

    runs: deque[_Weighed] = field(default_factory=deque)
    withheld: dict[TopicPartition, list[_Weighed]] = field(default_factory=dict)
    """Runs of which none is taken before their partition is released."""
    records: int = 0
    size: int = 0
    """Of all runs, withheld ones included."""

    def put(self, run: Run) -> None:
        self._add(_Weighed(run, total_size(run.records)))

    def take(self, policy: BatchPolicy) -> Chunk | None:
        """The next chunk within the policy's limits; None when nothing waits. One record over the limit in bytes
        makes a chunk of its own."""
        taken: list[Run] = []
        room_records, room_bytes = policy.chunk_records, policy.chunk_bytes
        while self.runs:
            run, size = self.runs[0]
            if len(run.records) > room_records or size > room_bytes:
                fits = room_records
                if size > room_bytes:
                    fits = _fitting(run.records, room_records, room_bytes, or_one=not any(r.records for r in taken))
                if fits < len(run.records):
                    if fits:
                        taken.append(self._take_part(fits))
                    break
            taken.append(self._take_whole())
            room_records -= len(run.records)
            room_bytes -= size
        return Chunk.of(taken) if taken else None

    def holds(self, source: TopicPartition) -> bool:
        """Whether anything of this partition waits."""
        return any(run.source == source for run, _ in self._all())

    def waiting(self) -> Counter[TopicPartition]:
        """Records by partition, but for partitions that are withheld."""
        counts: Counter[TopicPartition] = Counter()
        for run, _ in self.runs:
            counts[run.source] += len(run.records)
        return counts

    def drop(self, sources: Iterable[TopicPartition]) -> None:
        """Forget all runs of these partitions, and that they are withheld."""
        self._remove(set(sources))

    def move(self, source: TopicPartition, other: Backlog) -> None:
        """Let all runs of a partition wait in another backlog, behind what waits there."""
        for each in self._remove({source}):
            other._add(each)

    def _remove(self, gone: set[TopicPartition]) -> list[_Weighed]:
        every = self._all()
        self.runs, self.withheld = deque(), {source: [] for source in self.withheld if source not in gone}
        self.records = self.size = 0
        for each in every:
            if each.run.source not in gone:
                self._add(each)
        return [each for each in every if each.run.source in gone]

    def withhold(self, source: TopicPartition) -> None:
        """Let nothing of a partition, of which nothing waits, be taken before it is released."""
        self.withheld.setdefault(source, [])

    def release(self, source: TopicPartition) -> None:
        """What waits of a partition that was withheld may be taken, after all that waits already."""
        self.runs.extend(self.withheld.pop(source, ()))

    def _all(self) -> list[_Weighed]:
        return [*self.runs, *chain.from_iterable(self.withheld.values())]

    def _add(self, weighed: _Weighed) -> None:
        self.withheld.get(weighed.run.source, self.runs).append(weighed)
        self.records += len(weighed.run.records)
        self.size += weighed.size

    def _take_whole(self) -> Run:
        run, size = self.runs.popleft()
        self.records -= len(run.records)
        self.size -= size
        return run

    def _take_part(self, count: int) -> Run:
        run, size = self.runs[0]
        head, rest = run.split(count)
        weight = total_size(head.records)
        self.runs[0] = _Weighed(rest, size - weight)
        self.records -= count
        self.size -= weight
        return head


def _fitting(records: tuple[Record, ...], room_records: int, room_bytes: int, *, or_one: bool) -> int:
    """How many leading records fit; at least one if `or_one`."""
    for count, record in enumerate(records):
        room_bytes -= record.size
        if count >= room_records or (room_bytes < 0 and not (or_one and count == 0)):
            return count
    return len(records)
