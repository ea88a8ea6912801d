"""A lane: a set of partitions whose chunks are written one after the other, the next ones prepared meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from functools import partial
from typing import Protocol, TypeVar

from consumers.concurrency import Channel, Event, Permits, Scope, monotonic
from consumers.core.chunks import Backlog, Chunk, Run
from consumers.core.errors import Fenced
from consumers.core.outcomes import Outcomes
from consumers.core.records import TopicPartition
from consumers.engine.health import Pace
from consumers.engine.hold import Abandoned, Holder
from consumers.engine.partitions import Partitions
from consumers.engine.storage import Storage
from consumers.pipeline.flow import Prepared, Processed
from consumers.stages import Stages

logger = logging.getLogger(__name__)

R = TypeVar("R")

Sources = Collection[TopicPartition]


class LaneListener(Protocol):
    """Told of chunks, from within a lane's greenlet."""

    def settled(self, chunk: Chunk, outcomes: Outcomes, seconds: float) -> None:
        """What became of a chunk, and the seconds it took to settle."""
        ...

    def idle(self) -> None:
        """Nothing waits for a lane."""
        ...

    def fenced(self, chunk: Chunk, sources: Sources) -> None:
        """Another member has claimed these of its partitions."""
        ...


class Lane:
    """Three greenlets, each with one chunk at a time: one prepares chunks, one processes them, one settles them. A
    partition is always settled in order."""

    def __init__(self, *, storage: Storage, stages: Stages, pace: Pace, holder: Holder, partitions: Partitions) -> None:
        self._storage = storage
        self._stages = stages
        self._pace = pace
        self._holder = holder
        self._partitions = partitions
        self.backlog = Backlog()
        self._leaving: dict[TopicPartition, Lane] = {}
        """Partitions of another lane by now, which begins them once nothing of them is in flight here."""
        self._in_flight: list[Chunk] = []
        self._moved_at = monotonic()
        self._arrived = Event()
        self._moved = Event()
        self._to_process: Channel[Prepared] = Channel()
        self._to_settle: Channel[Processed] = Channel()

    def start(self, scope: Scope, listener: LaneListener) -> None:
        self._listener = listener
        scope.spawn(self._prepare_all)
        scope.spawn(self._process_all)
        scope.spawn(self._settle_all)

    def put(self, run: Run) -> None:
        """Give the lane records of one of its partitions, in order."""
        self.backlog.put(run)
        self._arrived.set()

    def receive(self, source: TopicPartition) -> None:
        """Begin with a partition that another lane had in flight until now."""
        self.backlog.release(source)
        self._arrived.set()

    @property
    def is_full(self) -> bool:
        """Whether as much waits as a batch may bring: time to take no more."""
        batch = self._pace.batch
        return self.backlog.records >= batch.max_records or self.backlog.size >= batch.max_bytes

    @property
    def is_behind(self) -> bool:
        """Whether a whole chunk waits, or more."""
        return self.backlog.records >= self._pace.batch.chunk_records

    @property
    def waiting(self) -> int:
        """Records that are not settled yet."""
        return self.backlog.records + sum(len(chunk.records) for chunk in self._in_flight)

    @property
    def in_flight(self) -> int:
        """Records of chunks that are prepared, processed or settled at the moment."""
        return sum(len(chunk.records) for chunk in self._in_flight)

    def wait_for_room(self, timeout: float) -> bool:
        """Wait until the lane is not full, up to `timeout` seconds; returns whether it has room."""
        deadline = monotonic() + timeout
        while self.is_full and monotonic() < deadline:
            self._moved.clear()
            self._moved.wait(max(0.0, deadline - monotonic()))
        return not self.is_full

    def hand_over(self, source: TopicPartition, other: Lane) -> None:
        """Give what waits of a partition to another lane, which begins once nothing of it is in flight here."""
        if self._is_in_flight(source):
            other.backlog.withhold(source)
            self._leaving[source] = other
        self.backlog.move(source, other.backlog)
        other._arrived.set()
        self._moved.set()

    def drop(self, sources: Sources) -> None:
        """Forget what waits of these partitions. Chunks in flight lose them when their turn comes."""
        self.backlog.drop(sources)
        self._moved.set()

    def drain(self, sources: Sources, deadline: float) -> set[TopicPartition]:
        """Wait until nothing of these partitions is left, or for the deadline (monotonic seconds); returns those that
        were not done by then."""
        while True:
            busy = {source for source in sources if self._is_busy(source)}
            left = deadline - monotonic()
            if not busy or left <= 0:
                return busy
            self._moved.clear()
            self._moved.wait(min(left, 0.5))

    def stands_still(self) -> float:
        """For how many seconds a chunk has been in flight without anything moving."""
        return monotonic() - self._moved_at if self._in_flight else 0.0

    def doing(self) -> str:
        """What is in flight, for whoever waits for it."""
        return "; ".join(map(str, self._in_flight)) or "nothing"

    def _is_busy(self, source: TopicPartition) -> bool:
        return self.backlog.holds(source) or self._is_in_flight(source)

    def _is_in_flight(self, source: TopicPartition) -> bool:
        return any(source in chunk.spans for chunk in self._in_flight)

    # ---- the three parts: no loop names a chunk, which would live on while the next one is waited for ----------------

    def _prepare_all(self) -> None:
        while True:
            while self._prepare():
                pass
            self._arrived.clear()
            self._listener.idle()
            self._arrived.wait()

    def _process_all(self) -> None:
        """Apart from what asks the database: who waits for a service holds no connection meanwhile, and the workers of
        one chunk follow at once on those of the last."""
        while True:
            self._process(self._to_process.get())

    def _settle_all(self) -> None:
        while True:
            with self._stages.spend("wait"):
                processed = self._to_settle.get()
            self._settle_while_ours(processed)
            del processed

    def _prepare(self) -> bool:
        """Prepare the next chunk; False if nothing waits."""
        chunk = self.backlog.take(self._pace.batch)
        if chunk is None:
            return False
        if not self._in_flight:
            self._moved_at = monotonic()
        self._in_flight.append(chunk)
        self._moved.set()
        prepared = self._held(f"preparing {chunk}", chunk, partial(self._storage.prepare, chunk))
        self._pass_on(chunk, prepared, self._to_process)
        return True

    def _process(self, prepared: Prepared) -> None:
        chunk, work = prepared.chunk, partial(self._storage.process, prepared)
        processed = self._held(f"processing {chunk}", chunk, work, connects=False)
        self._pass_on(chunk, processed, self._to_settle)

    def _pass_on(self, chunk: Chunk, outcome: R | None, to: Channel[R]) -> None:
        if outcome is None:
            self._done(chunk)
        else:
            to.put(outcome)

    def _settle_while_ours(self, processed: Processed) -> None:
        remaining: Processed | None = processed
        while remaining is not None:
            remaining = self._settle(self._still_ours(remaining))
        self._done(processed.chunk)

    def _settle(self, processed: Processed) -> Processed | None:
        """Settle a chunk; returns what is left to settle after some of its partitions were fenced."""
        chunk = processed.chunk
        if not chunk.spans:
            return None
        report, start = Outcomes(), monotonic()

        def settle() -> bool:
            more = self.backlog.records > 0 or len(self._in_flight) > 1
            with self._pace.writing(len(chunk.records), more=more):
                self._storage.settle(processed, report)
            return True

        try:
            if self._held(f"writing {chunk}", chunk, settle, self._pace.health.gate):
                self._listener.settled(chunk, report, monotonic() - start)
        except Fenced as fenced:
            self._listener.fenced(chunk, fenced.sources)
            return processed.without(fenced.sources)
        return None

    def _held(
        self, what: str, chunk: Chunk, work: Callable[[], R], gate: Permits | None = None, *, connects: bool = True
    ) -> R | None:
        """The result of work on a chunk, held through outages; None if the chunk is not wanted any more."""

        def wanted() -> bool:
            return self._unwanted(chunk) < chunk.spans.keys()

        try:
            return self._holder.run(work, what, wanted, gate=gate, connects=connects)
        except Abandoned:
            logger.warning("gave up %s: its partitions are gone", what)
            return None

    def _still_ours(self, processed: Processed) -> Processed:
        return processed.without(self._unwanted(processed.chunk))

    def _unwanted(self, chunk: Chunk) -> set[TopicPartition]:
        """The chunk's partitions that are not held any more, or under a later claim only."""
        return {s for s in chunk.spans if self._partitions.under(s, chunk.epochs[s]) is None}

    def _done(self, chunk: Chunk) -> None:
        self._in_flight.remove(chunk)
        for source in [source for source in self._leaving if not self._is_in_flight(source)]:
            self._leaving.pop(source).receive(source)
        self._moved_at = monotonic()
        self._moved.set()
