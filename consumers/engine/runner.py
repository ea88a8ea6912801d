"""A consumer at work: polls its source, feeds its lanes, follows the group's rebalances, drains and stops."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from consumers.concurrency import Permits, Scope, monotonic, stacks
from consumers.consumer import BatchConsumer
from consumers.core.chunks import Chunk, Run, Span
from consumers.core.errors import DrainTimedOut, FencedEverywhere, Stuck, TransientError
from consumers.core.lifecycle import Lifecycle, State
from consumers.core.outcomes import Outcomes
from consumers.core.policies import BatchPolicy
from consumers.core.records import Record, TopicPartition
from consumers.core.source import Fetched, Polled, RecordSource
from consumers.engine.claims import Claims, Regain
from consumers.engine.ends import Ends
from consumers.engine.goal import Goal
from consumers.engine.health import Health, Pace
from consumers.engine.hold import Holder
from consumers.engine.lane import Lane
from consumers.engine.obedience import Obedience
from consumers.engine.partitions import Hold, Partition, Partitions
from consumers.engine.stats import Statistics
from consumers.engine.storage import DatabaseStorage, Storage
from consumers.settings import EngineSettings
from consumers.stages import Stages

logger = logging.getLogger(__name__)

Sources = Collection[TopicPartition]


AroundStorage = Callable[[Storage, BatchConsumer[Any, Any], Stages], Storage]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a run of a consumer can be told."""

    group: str = ""
    """The consumer group; by default the consumer's name."""
    until_end: bool = False
    """Stop when the end offsets seen at start are settled."""
    max_records: int = 0
    """Stop after this many records; 0 means never."""
    chunk_size: int = 0
    concurrency: int = 0
    around_storage: AroundStorage | None = None
    """Puts something around the storage, such as traces of what it is asked."""


class Runner:
    """One consumer of one group in this process. `run` returns when it has drained."""

    def __init__(
        self,
        consumer: BatchConsumer[Any, Any],
        source: RecordSource,
        settings: EngineSettings,
        permits: Permits,
        options: RunOptions | None = None,
        storage: Storage | None = None,
        health: Health | None = None,
    ) -> None:
        """`storage` is the database by default. `health` is shared by the consumers of a process; without one nothing
        adapts, as is best for tests."""
        options = options or RunOptions()
        self.consumer = consumer
        self.statistics = Statistics(consumer.name)
        self.partitions = Partitions(settings.lanes)
        self._lifecycle = Lifecycle()
        self._source = source
        self._settings = settings
        self._policy = _policy(consumer.batch, options)
        if health is None:
            settings = replace(settings, adaptive=False)
        self._pace = Pace(consumer.name, self._policy, settings, health or Health(settings))
        self.statistics.pace = self._pace
        group = options.group or consumer.name
        self._named = {"consumer": consumer.name, "group": group}
        self._storage = storage or DatabaseStorage(
            consumer, settings, group, options.concurrency, self.statistics.stages
        )
        if options.around_storage is not None:
            self._storage = options.around_storage(self._storage, consumer, self.statistics.stages)
        self._holder = Holder(permits)
        self._holder.events = self.statistics.events
        self._claims = Claims(self._storage, source, self.partitions, self._holder)
        self._regain = Regain(self.partitions)
        self._goal = Goal(options.until_end, options.max_records, source, self.partitions, self._storage, self._holder)
        self._lanes = [self._lane() for _ in range(settings.lanes)]
        self._committed_at = monotonic()
        self._ends = Ends(source, self.partitions)
        self.orders = Obedience(consumer.name, self.partitions, self._storage, self.statistics.events)

    # ---- the life of a run ------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Consume until the goal is reached or `stop` is called; then drain, commit and leave the group.

        Raises:
            FatalError: flood, books, fenced everywhere, a drain that timed out, or an error of the consumer's own.
            Misconfigured: a topic is missing or the client's properties make no sense.
        """
        self._lifecycle.advance(State.RUNNING)
        try:
            with Scope() as scope:
                for lane in self._lanes:
                    lane.start(scope)
                self._source.open(self, scope.spawn)
                self._claims.notice_resets()
                self._goal.set()
                while self._lifecycle.state is State.RUNNING and not self._goal.reached():
                    self._turn(scope)
                self._drain()
                scope.cancel()
        finally:
            self._lifecycle.advance(State.STOPPED)
            self._source.close()

    def stop(self) -> bool:
        """Ask for a drain; returns whether this was the first time. May be called from a signal's greenlet."""
        is_first = self._lifecycle.advance(State.DRAINING)
        if is_first:
            self.statistics.events.add("drain", f"{self.consumer.name} drains: it was told to stop")
        return is_first

    def _turn(self, scope: Scope) -> None:
        """One poll and all that hangs on it."""
        self._set_aside(self.orders.obey(), float("-inf"))
        self._keep_bounded()
        polled = self._poll(self._goal.allows(self._policy.max_records))
        self._take_in(polled)
        for partition in filter(None, map(self.partitions.get, polled.refused)):
            partition.committed = -1  # once more with the next commit
        assigned = [self.partitions.add(source) for source in polled.assigned]
        if assigned:
            self._rebalanced("was assigned", polled.assigned)
        for claiming in filter(None, (assigned, self._regain.due())):
            scope.spawn(self._claims.claim, claiming)
        if self._regain.is_hopeless():
            raise FencedEverywhere(
                f"{self.consumer.name}: another process has claimed every partition of group {self._storage.group} "
                "again and again; is the group's name in use elsewhere?"
            )
        self._look_for_standstill()
        if monotonic() - self._committed_at >= self._settings.commit_interval:
            self._commit()
            self._ends.look()

    def _look_for_standstill(self) -> None:
        """A handler that waits for ever, or a lock that nobody releases: say what it is and give the partitions up."""
        limit = self._settings.stuck_timeout
        for lane in self._lanes if limit else ():
            outage = monotonic() - self._holder.held_at < limit
            if lane.stands_still() > limit and not outage:
                where = f"{self.consumer.name}: no progress for {limit:g} s at {lane.doing()}"
                logger.error("%s\n%s", where, stacks())
                raise Stuck(f"{where}; the stack traces are in the log")

    def _drain(self) -> None:
        """Let chunks in flight settle, polling on (paused) so that the group stays as it is; then commit."""
        self._lifecycle.advance(State.DRAINING)
        deadline = monotonic() + self._settings.drain_timeout
        self._pause([p for p in self.partitions if p.hold is Hold.ACTIVE])
        self._drop_backlogs()
        while any(lane.waiting for lane in self._lanes):
            if monotonic() > deadline:
                self._commit(wait=True)
                raise DrainTimedOut(
                    f"{self.consumer.name}: not settled when the drain's time was up: {self._blocking()}"
                )
            self._poll(1)
        self._commit(wait=True)
        logger.info("%s drained: %s", self.consumer.name, self.statistics.tally.as_dict())

    def _drop_backlogs(self) -> None:
        """A stop on request settles what is in flight; what waits was never begun and stays for the next run."""
        if not self._goal.is_met:
            for lane in self._lanes:
                lane.drop([partition.source for partition in self.partitions])

    # ---- records ----------------------------------------------------------------------------------------------------

    def _poll(self, max_records: int) -> Polled:
        with self.statistics.stages.spend("poll"):
            polled = self._source.poll(max_records, self._policy.max_bytes, self._policy.max_wait)
        self.statistics.polled_at = monotonic()
        for level, text in polled.notices:
            logger.log(level, "%s: %s", self.consumer.name, text)
        return polled

    def _take_in(self, polled: Polled) -> None:
        """Hand records to their lanes; leftovers of a former assignment or position are dropped."""
        for fetched in polled.fetched:
            partition = self._current(fetched.source, fetched.generation)
            if partition is not None:
                self._hand_over(partition, fetched)
        for source, (generation, end) in polled.ends.items():
            partition = self._current(source, generation)
            if partition is not None and partition.position < end:
                self._put(partition, Span(partition.position, end), ())

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
        self._lanes[partition.lane].put(Run(partition.source, span, records, partition.epoch))

    def _current(self, source: TopicPartition, generation: int) -> Partition | None:
        partition = self.partitions.active(source)
        return partition if partition is not None and partition.generation == generation else None

    def _keep_bounded(self) -> None:
        """Take no more than the lanes can hold. A lane that stays full has its partitions paused, and polling goes on,
        so that a long write or an outage never costs the group a rebalance."""
        self._pause([p for p in self.partitions if p.operator_paused and p.hold is Hold.ACTIVE and not p.paused])
        full = [index for index, lane in enumerate(self._lanes) if lane.is_full]
        if full and not self._room_comes(self._lanes[full[0]]):
            self._pause([p for p in self.partitions if p.lane in full and p.hold is Hold.ACTIVE and not p.paused])
        ready = [p for p in self.partitions if p.may_be_resumed and not self._lanes[p.lane].is_full]
        if ready:
            self._claims.start(ready)

    def _room_comes(self, lane: Lane) -> bool:
        """Wait for a full lane, up to a second, while all others have work. To pause is dear: the client throws away
        what it has fetched ahead."""
        deadline = monotonic() + 1.0
        while not lane.wait_for_room(0.02):
            if monotonic() > deadline or not all(each.waiting for each in self._lanes):
                return False
        return True

    def _pause(self, partitions: Collection[Partition]) -> None:
        if partitions:
            self._source.pause([partition.source for partition in partitions])
        for partition in partitions:
            partition.paused = True

    # ---- what the lanes report --------------------------------------------------------------------------------------

    def _lane(self) -> Lane:
        return Lane(
            storage=self._storage,
            stages=self.statistics.stages,
            pace=self._pace,
            holder=self._holder,
            partitions=self.partitions,
            on_settled=self._settled,
            on_fenced=self._fenced,
        )

    def _settled(self, chunk: Chunk, outcomes: Outcomes, seconds: float) -> None:
        for source, span in chunk.spans.items():
            partition = self.partitions.under(source, chunk.epochs[source])
            if partition is not None:
                partition.settled, partition.claims = span.end, 0
        if chunk.records:
            self.statistics.add(outcomes)
            self.statistics.settled(chunk.records[-1], seconds)
            tally = outcomes.tally()
            logger.info(
                "%s settled %s in %.0f ms: %d written, %d duplicates, %d skipped, %d failed",
                self.consumer.name,
                chunk,
                seconds * 1000,
                tally.written,
                tally.duplicates,
                tally.skipped,
                tally.failed,
                extra={**self._named, **vars(tally), "ms": round(seconds * 1000, 1), "spans": chunk.spans},
            )

    def _fenced(self, chunk: Chunk, sources: Sources) -> None:
        text = f"{self.consumer.name} was fenced: another member has claimed {_names(sources)}"
        logger.warning("%s", text)
        self.statistics.events.add("fence", text)
        ours = [p for p in (self.partitions.under(source, chunk.epochs[source]) for source in sources) if p is not None]
        self.statistics.fenced += len(ours)
        self._set_aside(ours, monotonic())

    def _set_aside(self, partitions: Collection[Partition], fenced_at: float) -> None:
        """Read nothing more of these until they are claimed again, and forget what waits of them."""
        if not partitions:
            return
        self._pause(partitions)
        for partition in partitions:
            partition.hold, partition.fenced_at = Hold.FENCED, fenced_at
        for lane in self._lanes:
            lane.drop([partition.source for partition in partitions])

    # ---- what the group reports (RebalanceListener) -----------------------------------------------------------------

    def revoked(self, sources: Sources) -> dict[TopicPartition, int]:
        self._rebalanced("gives back", sources)
        held = [p for p in map(self.partitions.get, sources) if p is not None]
        for partition in held:
            partition.hold = Hold.LEAVING if partition.hold is Hold.ACTIVE else Hold.GONE
        deadline = monotonic() + self._settings.revoke_timeout
        self._claims.wait(sources, deadline)
        for lane in self._lanes:
            lane.drop(sources)
        for lane in self._lanes:
            busy = lane.drain(sources, deadline)
            if busy:
                logger.warning("%s gives up %s unsettled: %s", self.consumer.name, busy, lane.doing())
        settled = {p.source: p.settled for p in held if p.hold is Hold.LEAVING and p.settled > p.committed}
        self._let_go(sources)
        return settled

    def lost(self, sources: Sources) -> None:
        self._rebalanced("has lost", sources)
        self._let_go(sources)

    def _rebalanced(self, what: str, sources: Sources) -> None:
        self.statistics.rebalances += 1
        self.statistics.events.add("rebalance", f"{self.consumer.name} {what} {_names(sources)}")

    def _let_go(self, sources: Sources) -> None:
        self.partitions.remove(sources)
        for lane in self._lanes:
            lane.drop(sources)

    # ---- for reports ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        return self._lifecycle.state

    @property
    def group(self) -> str:
        return self._storage.group

    @property
    def workers(self) -> int:
        """How many workers process a chunk's records."""
        return self._storage.workers

    @property
    def lanes(self) -> Sequence[Lane]:
        return self._lanes

    @property
    def holder(self) -> Holder:
        return self._holder

    # ---- the broker's copy of the progress --------------------------------------------------------------------------

    def _commit(self, *, wait: bool = False) -> None:
        active = self.partitions.in_state(Hold.ACTIVE)
        offsets = {p.source: p.settled for p in active if p.settled > p.committed or (wait and p.settled >= 0)}
        self._committed_at = monotonic()
        if not offsets:
            return
        try:
            self._source.commit(offsets, wait=wait)
        except TransientError as error:
            logger.warning("%s could not commit to the broker, the ledger stands: %s", self.consumer.name, error)
            return
        for partition in filter(None, map(self.partitions.get, offsets)):
            partition.committed = offsets[partition.source]

    def _blocking(self) -> str:
        held = "; ".join(f"{what}: {why}" for what, why in self._holder.holding.items())
        return held or "; ".join(lane.doing() for lane in self._lanes)


def _names(sources: Iterable[TopicPartition]) -> str:
    return ", ".join(map(str, sorted(sources)))


def _policy(batch: BatchPolicy, options: RunOptions) -> BatchPolicy:
    return replace(batch, chunk_records=options.chunk_size) if options.chunk_size else batch
