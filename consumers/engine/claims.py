"""Claiming assigned partitions: raise their epochs, learn from the ledger where to go on, and start them there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from consumers.concurrency import monotonic, sleep
from consumers.core.errors import LogMadeAnew, TransientError
from consumers.core.policies import Backoff
from consumers.core.records import TopicPartition
from consumers.core.source import Committed, Offsets, RecordSource
from consumers.engine.hold import Abandoned, Holder
from consumers.engine.partitions import Hold, Partition, Partitions
from consumers.engine.storage import Storage

logger = logging.getLogger(__name__)

R = TypeVar("R")

_LOOKS_AT_THE_END = 5


class Claims:
    """Takes partitions from assigned to active. `claim` runs in a greenlet of its own, so that polling goes on."""

    def __init__(self, storage: Storage, source: RecordSource, partitions: Partitions, holder: Holder) -> None:
        self._storage = storage
        self._source = source
        self._partitions = partitions
        self._holder = holder
        self._backoff = Backoff(first=0.2, cap=5.0)
        self._asking: set[TopicPartition] = set()

    def claim(self, partitions: Collection[Partition]) -> None:
        """Claim these and start them at the ledger's offsets; those revoked meanwhile are left alone."""
        sources = {partition.source for partition in partitions}
        self._asking |= sources
        try:
            starts = self._starts(partitions)
            paused = self._paused(sources)
            claimed = self._holder.run(
                lambda: self._storage.claim({s: o for s, o in starts.items() if self._wanted(partitions, s)}),
                f"the claim of {len(partitions)} partitions",
                wanted=lambda: any(p.hold is Hold.CLAIMING for p in partitions),
            )
        except Abandoned:
            return
        finally:
            self._asking -= sources
        ours = [p for p in partitions if p.hold is Hold.CLAIMING and p.source in claimed]
        for partition in ours:
            line = claimed[partition.source]
            partition.epoch, partition.position, partition.settled = line.epoch, line.next_offset, line.next_offset
            partition.claims += 1
            partition.operator_paused = partition.source in paused
            if partition.operator_paused:
                partition.hold, partition.paused = Hold.ACTIVE, True
                logger.info("%s stays paused, by order", partition.source)
        self.start([partition for partition in ours if not partition.operator_paused])

    def wait(self, sources: Collection[TopicPartition], deadline: float) -> None:
        """Wait, up to the deadline (monotonic seconds), until no claim of these is on its way to the ledger: one that
        arrived after the next member's would fence it."""
        while self._asking & set(sources) and monotonic() < deadline:
            sleep(0.01)

    def start(self, partitions: Collection[Partition]) -> None:
        """Seek partitions to where they stand, and let their records come."""
        generations = self._persist(lambda: self._source.start_at({p.source: p.position for p in partitions}))
        for partition in partitions:
            generation = generations.get(partition.source)
            if generation is not None and partition.hold in (Hold.CLAIMING, Hold.ACTIVE):
                partition.generation, partition.hold, partition.paused = generation, Hold.ACTIVE, False

    def _paused(self, sources: Collection[TopicPartition]) -> set[TopicPartition]:
        """Those that are not to be read, though they are ours."""
        what = f"the orders for {len(sources)} partitions"
        return self._holder.run(lambda: self._storage.paused(list(sources)), what, lambda: bool(sources))

    def _starts(self, partitions: Collection[Partition]) -> Offsets:
        """Where each partition goes on: where its line in the ledger stands; without a line, where another tool has
        committed for the group; else at the first record."""
        sources = [partition.source for partition in partitions]
        known = self._holder.run(
            lambda: self._storage.known(sources), f"the ledger of {len(sources)} partitions", lambda: bool(sources)
        )
        committed = self._persist(lambda: self._source.committed(sources))
        watermarks = self._persist(lambda: self._source.watermarks(sources))
        if known:
            self.confirm(known, watermarks)
        starts = {}
        for source in sources:
            if source in known:
                starts[source] = known[source]
            else:
                starts[source] = self._first(source, watermarks.get(source, (0, 0)), committed.get(source))
        return starts

    def confirm(self, positions: Offsets, watermarks: Mapping[TopicPartition, tuple[int, int]] | None = None) -> None:
        """Make sure that the log reaches to these positions. To read on behind the end of a log that was made anew
        would pass over its first records without a word.

        Raises:
            LogMadeAnew: it does not, nor some seconds later (a broker that comes back may know its end a moment late).
        """
        for attempt in range(1, _LOOKS_AT_THE_END + 1):
            ends = watermarks or self._persist(lambda: self._source.watermarks(positions))
            short = [source for source in positions if source in ends and ends[source][1] < positions[source]]
            if not short:
                return
            watermarks = None
            sleep(self._backoff.delay(attempt))
        source = short[0]
        raise LogMadeAnew(
            f"group {self._storage.group} stands at {positions[source]} of {source}, but the log ends at "
            f"{ends[source][1]}: the topic was made anew, or lost its end. To read what it holds now: manage.py seek "
            f"--group {self._storage.group} --topic {source.topic} --to-beginning"
        )

    def _first(self, source: TopicPartition, watermarks: tuple[int, int], committed: Committed | None) -> int:
        """Where to begin a partition that the ledger does not know. A commit of our own means that another database
        has had the records; this one has not, so they are read again."""
        low, high = watermarks
        if committed is None:
            return low
        if committed.ours:
            logger.warning(
                "group %s has consumed %s before, up to %d, but not into this database: beginning at its first record. "
                "To begin elsewhere use manage.py seek",
                self._storage.group,
                source,
                committed.offset,
            )
            return low
        return min(max(committed.offset, low), high)

    def notice_resets(self) -> None:
        """Answer an attempt to move the group with another tool: a committed offset that is not ours, nor where the
        ledger stands. Before that, make sure that the log is the one that the ledger speaks of.

        Raises:
            LogMadeAnew: it is not.
        """
        sources = self._source.partitions()
        known = self._holder.run(lambda: self._storage.known(sources), f"the ledger of {len(sources)} partitions")
        if known:
            self.confirm(known)
        committed = self._persist(lambda: self._source.committed(known)) if known else {}
        for source, line in known.items():
            self._notice_reset(source, line, committed.get(source))

    def _notice_reset(self, source: TopicPartition, line: int, committed: Committed | None) -> None:
        if committed is not None and not committed.ours and committed.offset != line:
            logger.warning(
                "offsets of group %s were moved by another tool: %s to %d. The ledger stands at %d and decides; to "
                "move the group use manage.py seek",
                self._storage.group,
                source,
                committed.offset,
                line,
            )

    def _persist(self, call: Callable[[], R]) -> R:
        """The result of a call to the broker, repeated for as long as it is out of reach."""
        attempt = 0
        while True:
            try:
                return call()
            except TransientError as error:
                attempt += 1
                logger.warning("broker out of reach (attempt %d): %s", attempt, error)
                sleep(self._backoff.delay(attempt))

    @staticmethod
    def _wanted(partitions: Collection[Partition], source: TopicPartition) -> bool:
        return any(p.source == source and p.hold is Hold.CLAIMING for p in partitions)


REGAIN_AFTER = 5.0
MOST_CLAIMS = 3


class Regain:
    """What to do about fenced partitions that the group still says are ours: claim them again, a few times."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    def due(self) -> list[Partition]:
        """Fenced partitions whose turn it is; they are claiming now. A member that was frozen has, by this time,
        polled and heard that it lost them; whoever is still assigned is the rightful holder."""
        due = [p for p in self._partitions.in_state(Hold.FENCED) if self._is_due(p)]
        for partition in due:
            partition.hold = Hold.CLAIMING
        return due

    def is_hopeless(self) -> bool:
        """Whether every partition is fenced, again and again."""
        return len(self._partitions) > 0 and all(
            p.hold is Hold.FENCED and p.claims >= MOST_CLAIMS for p in self._partitions
        )

    @staticmethod
    def _is_due(partition: Partition) -> bool:
        return partition.claims < MOST_CLAIMS and monotonic() - partition.fenced_at >= REGAIN_AFTER
