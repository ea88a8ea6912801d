"""From a poll to the lanes, and no more than they can hold."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from consumers.concurrency import monotonic
from consumers.core.chunks import Run, Span
from consumers.core.records import Record, TopicPartition
from consumers.core.source import Fetched, Polled, RecordSource
from consumers.engine.balance import Balance
from consumers.engine.claims import Claims
from consumers.engine.goal import Goal
from consumers.engine.lane import Lane
from consumers.engine.partitions import Hold, Partition, Partitions


class Intake:
    """Gives records to the lanes of their partitions, and pauses what is not to be read."""

    def __init__(
        self, source: RecordSource, partitions: Partitions, lanes: Sequence[Lane], claims: Claims, goal: Goal
    ) -> None:
        self.partitions = partitions
        self.lanes = lanes
        self._source = source
        self._claims = claims
        self._goal = goal
        self.balance = Balance(partitions, lanes)

    # ---- what comes in ----------------------------------------------------------------------------------------------

    def take_in(self, polled: Polled) -> None:
        """Hand records to their lanes; leftovers of a former assignment or position are dropped."""
        for fetched in polled.fetched:
            partition = self._current(fetched.source, fetched.generation)
            if partition is not None:
                self._hand_over(partition, fetched)
        for source, (generation, end) in polled.ends.items():
            partition = self._current(source, generation)
            if partition is not None and partition.position < end:
                self._put(partition, Span(partition.position, end), ())
        self.balance.even_out()

    def _hand_over(self, partition: Partition, fetched: Fetched) -> None:
        records = tuple(fetched.records)
        if records and records[0].offset < partition.position:
            records = tuple(record for record in records if record.offset >= partition.position)
            self._claims.confirm({partition.source: partition.position})
        records = records[: self._goal.take(len(records))]
        if records:
            span = Span(partition.position, records[-1].offset + 1)
            self._put(partition, span, records)

    def _put(self, partition: Partition, span: Span, records: tuple[Record, ...]) -> None:
        partition.position = span.end
        self.lanes[partition.lane].put(Run(partition.source, span, records, partition.epoch))

    def _current(self, source: TopicPartition, generation: int) -> Partition | None:
        partition = self.partitions.active(source)
        return partition if partition is not None and partition.generation == generation else None

    # ---- what is kept out -------------------------------------------------------------------------------------------

    def keep_bounded(self) -> None:
        """Take no more than the lanes can hold. A lane that stays full has its partitions paused, and polling goes on,
        so that a long write or an outage never costs the group a rebalance."""
        self.pause([p for p in self.partitions if p.operator_paused and p.hold is Hold.ACTIVE and not p.paused])
        full = [index for index, lane in enumerate(self.lanes) if lane.is_full]
        if full and not self._room_comes(self.lanes[full[0]]):
            self.pause([p for p in self.partitions if p.lane in full and p.hold is Hold.ACTIVE and not p.paused])
        ready = [p for p in self.partitions if p.may_be_resumed and not self.lanes[p.lane].is_full]
        if ready:
            self._claims.start(ready)

    def _room_comes(self, lane: Lane) -> bool:
        """Wait for a full lane, up to a second, while all others have work. To pause is dear: the client throws away
        what it has fetched ahead."""
        deadline = monotonic() + 1.0
        while not lane.wait_for_room(0.02):
            if monotonic() > deadline or not all(each.waiting for each in self.lanes):
                return False
        return True

    def pause(self, partitions: Collection[Partition]) -> None:
        """Read nothing more of these until `Claims.start`."""
        if partitions:
            self._source.pause([partition.source for partition in partitions])
        for partition in partitions:
            partition.paused = True

    def set_aside(self, partitions: Collection[Partition], fenced_at: float) -> None:
        """Read nothing more of these until they are claimed again, and forget what waits of them."""
        if not partitions:
            return
        self.pause(partitions)
        for partition in partitions:
            partition.hold, partition.fenced_at = Hold.FENCED, fenced_at
        self.drop([partition.source for partition in partitions])

    def drop(self, sources: Collection[TopicPartition]) -> None:
        """Forget what waits of these."""
        for lane in self.lanes:
            lane.drop(sources)
