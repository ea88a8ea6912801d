"""A consumer at work: polls its source, feeds its lanes, follows the group's rebalances, drains and stops."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from consumers.concurrency import Permits, Scope, monotonic, stacks
from consumers.consumer import BatchConsumer
from consumers.core.errors import DrainTimedOut, FencedEverywhere, Stuck
from consumers.core.lifecycle import Lifecycle, State
from consumers.core.policies import BatchPolicy
from consumers.core.source import Polled, RecordSource
from consumers.engine.claims import Claims, Regain
from consumers.engine.commits import Commits
from consumers.engine.ends import Ends
from consumers.engine.goal import Goal
from consumers.engine.health import Health, Pace
from consumers.engine.hold import Holder
from consumers.engine.intake import Intake
from consumers.engine.lane import Lane
from consumers.engine.membership import Membership
from consumers.engine.obedience import Obedience
from consumers.engine.partitions import Hold, Partitions
from consumers.engine.results import Results
from consumers.engine.stats import Statistics
from consumers.engine.storage import DatabaseStorage, Storage
from consumers.settings import EngineSettings
from consumers.stages import Stages

logger = logging.getLogger(__name__)

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
    """One consumer of one group in this process. `run` returns when it has drained.

    Here is the order of things; what is done lies in `intake` (records), `membership` (the group), `results` (chunks)
    and `commits` (the broker's copy of the progress).
    """

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
        self._storage = storage or self._database(options)
        if options.around_storage is not None:
            self._storage = options.around_storage(self._storage, consumer, self.statistics.stages)
        self._holder = Holder(permits)
        self._holder.events = self.statistics.events
        self._claims = Claims(self._storage, source, self.partitions, self._holder)
        self._regain = Regain(self.partitions)
        self._goal = Goal(options.until_end, options.max_records, source, self.partitions, self._storage, self._holder)
        self._lanes = self._make_lanes(health)
        self._intake = Intake(source, self.partitions, self._lanes, self._claims, self._goal)
        self._membership = Membership(
            self.partitions, self._intake, self._claims, self.statistics, settings.revoke_timeout
        )
        self._results = Results(self.partitions, self._intake, self.statistics, self.group)
        self._commits = Commits(consumer.name, source, self.partitions, settings.commit_interval)
        self._ends = Ends(source, self.partitions)
        self.orders = Obedience(consumer.name, self.partitions, self._storage, self.statistics.events)

    def _database(self, options: RunOptions) -> Storage:
        group = options.group or self.consumer.name
        stages = self.statistics.stages
        return DatabaseStorage(self.consumer, self._settings, group, options.concurrency, stages)

    def _make_lanes(self, health: Health | None) -> list[Lane]:
        settings = self._settings if health else replace(self._settings, adaptive=False)
        pace = Pace(self.consumer.name, self._policy, settings, health or Health(settings))
        self.statistics.pace = pace
        return [
            Lane(
                storage=self._storage,
                stages=self.statistics.stages,
                pace=pace,
                holder=self._holder,
                partitions=self.partitions,
            )
            for _ in range(settings.lanes)
        ]

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
                    lane.start(scope, self._results)
                self._source.open(self._membership, scope.spawn)
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
        self._intake.set_aside(self.orders.obey(), float("-inf"))
        self._intake.keep_bounded()
        polled = self._poll(self._goal.allows(self._policy.max_records))
        self._intake.take_in(polled)
        self._commits.refused(polled.refused)
        for claiming in filter(None, (self._membership.assigned(polled.assigned), self._regain.due())):
            scope.spawn(self._claims.claim, claiming)
        self._look_for_standstill()
        if self._commits.is_due:
            self._commits.commit()
            self._ends.look()

    def _poll(self, max_records: int) -> Polled:
        with self.statistics.stages.spend("poll"):
            polled = self._source.poll(max_records, self._policy.max_bytes, self._policy.max_wait)
        self.statistics.polled_at = monotonic()
        for level, text in polled.notices:
            logger.log(level, "%s: %s", self.consumer.name, text)
        self._heed_outage(polled.broker)
        return polled

    def _heed_outage(self, why: str) -> None:
        """Remember what keeps the broker away, and tell when that begins and ends."""
        before, self.statistics.broker = self.statistics.broker, why
        if bool(why) != bool(before):
            text = f"the broker does not answer: {why}" if why else "the broker is back"
            logger.warning("%s: %s", self.consumer.name, text)
            self.statistics.events.add("outage", text)

    def _look_for_standstill(self) -> None:
        """Partitions that others claim again and again; a handler that waits for ever, or a lock that nobody releases:
        say what it is and give the partitions up."""
        if self._regain.is_hopeless():
            raise FencedEverywhere(
                f"{self.consumer.name}: another process has claimed every partition of group {self.group} again and "
                "again; is the group's name in use elsewhere?"
            )
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
        self._intake.pause([p for p in self.partitions if p.hold is Hold.ACTIVE])
        if not self._goal.is_met:  # what waits was never begun, and stays for the next run
            self._intake.drop([partition.source for partition in self.partitions])
        while any(lane.waiting for lane in self._lanes):
            if monotonic() > deadline:
                self._commits.commit(wait=True)
                raise DrainTimedOut(
                    f"{self.consumer.name}: not settled when the drain's time was up: {self._blocking()}"
                )
            self._poll(1)
        self._commits.commit(wait=True)
        logger.info("%s drained: %s", self.consumer.name, self.statistics.tally.as_dict())

    def _blocking(self) -> str:
        return self._holder.told or "; ".join(lane.doing() for lane in self._lanes)

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


def _policy(batch: BatchPolicy, options: RunOptions) -> BatchPolicy:
    return replace(batch, chunk_records=options.chunk_size) if options.chunk_size else batch
