"""A process's report: what it is, how far it has come, and what holds it up. Plain data, taken at one moment.

To take one asks nothing of the database or the broker, and waits for nothing.
"""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from time import process_time, time
from typing import Any

from django.db import connections

from consumers.concurrency import monotonic
from consumers.engine.health import Health
from consumers.engine.partitions import Hold, Partition
from consumers.engine.process import ConsumerProcess
from consumers.engine.runner import Runner


@dataclass(frozen=True)
class PartitionReport:
    """One assigned partition. Offsets are those of the next record; -1 is not known yet."""

    topic: str
    partition: int
    state: str
    """claiming, active, paused (by order, or for want of room), leaving, fenced."""
    position: int
    settled: int
    committed: int
    end: int
    """The log's end, as the client has last heard of it."""
    lag: int | None
    """Records that are not settled; None while either end is unknown."""
    epoch: int
    operator_paused: bool


@dataclass(frozen=True)
class LimiterReport:
    """How many lanes of the process may write at once."""

    limit: int
    floor: int
    ceiling: int
    writing: int
    waiting: int
    is_fixed: bool
    last_move: str
    """What was changed last, and why."""


@dataclass(frozen=True)
class PoolReport:
    """The connections of the process. All 0 where there is no pool."""

    size: int
    max: int
    in_use: int
    waiting: int


@dataclass(frozen=True)
class ConsumerReport:
    """One consumer of the process. Times in seconds."""

    name: str
    group: str
    state: str
    """new, running, draining, stopped."""
    tally: dict[str, int]
    """Records received, written, duplicates, skipped, failed, since the process's start."""
    failed_by_reason: dict[str, int]
    chunks: int
    stages: dict[str, float]
    """Seconds spent in each stage, summed over lanes; see `consumers.stages`."""
    in_flight: int
    """Records of chunks that are prepared, processed or settled at the moment."""
    waiting: int
    """Records that were read and wait for a chunk."""
    chunk_records: int
    """The most that a chunk may hold now."""
    workers: int
    """How many workers process a chunk's records."""
    lanes: int
    freshness: float | None
    """How old the last record of the latest chunk was when it was settled, by its timestamp."""
    settled_age: float | None
    """Since a chunk was last settled; None: not yet."""
    polled_age: float
    """Since the source was last polled."""
    stands_still: float
    """For how long a chunk has been in flight without anything moving."""
    holding: str
    """What an outage of the database holds up, and why; empty if there is none."""
    broker: str
    """What keeps the broker away; empty while it answers."""
    rebalances: int
    fenced: int
    outages: int
    partitions: list[PartitionReport]

    @property
    def lag(self) -> int:
        """Of all its partitions, as far as it is known."""
        return sum(partition.lag or 0 for partition in self.partitions)


@dataclass(frozen=True)
class ProcessReport:
    """A consuming process. `at` and `started_at` are in seconds since the epoch, `rss` is in bytes."""

    at: float
    host: str
    pid: int
    version: str
    started_at: float
    limiter: LimiterReport
    pool: PoolReport
    rss: int
    cpu_seconds: float
    consumers: list[ConsumerReport] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return asdict(self)

    @property
    def state(self) -> str:
        """running while any consumer runs, draining while any drains, else stopped."""
        states = {consumer.state for consumer in self.consumers}
        return next((state for state in ("running", "new", "draining") if state in states), "stopped")


def process_report(process: ConsumerProcess) -> ProcessReport:
    """The report of a process at this moment."""
    return ProcessReport(
        at=time(),
        host=_host(),
        pid=os.getpid(),
        version=process.settings.version,
        started_at=process.started_at,
        limiter=_limiter(process.health),
        pool=_pool(process.settings.database),
        rss=_resident_bytes(),
        cpu_seconds=process_time(),
        consumers=[_consumer(runner) for runner in process.runners],
    )


def _consumer(runner: Runner) -> ConsumerReport:
    statistics, now = runner.statistics, monotonic()
    in_flight = sum(lane.in_flight for lane in runner.lanes)
    return ConsumerReport(
        name=runner.consumer.name,
        group=runner.group,
        state=runner.state.name.lower(),
        tally=statistics.tally.as_dict(),
        failed_by_reason={storable(reason): count for reason, count in statistics.failed_by_reason.items()},
        chunks=statistics.chunks,
        stages=statistics.stages.rounded(),
        in_flight=in_flight,
        waiting=sum(lane.waiting for lane in runner.lanes) - in_flight,
        chunk_records=statistics.pace.batch.chunk_records if statistics.pace else runner.consumer.batch.chunk_records,
        workers=runner.workers,
        lanes=len(runner.lanes),
        freshness=statistics.freshness,
        settled_age=None if statistics.settled_at is None else now - statistics.settled_at,
        polled_age=now - statistics.polled_at,
        stands_still=max((lane.stands_still() for lane in runner.lanes), default=0.0),
        holding=storable(runner.holder.told),
        broker=storable(statistics.broker),
        rebalances=statistics.rebalances,
        fenced=statistics.fenced,
        outages=runner.holder.outages,
        partitions=[_partition(each) for each in sorted(runner.partitions, key=lambda each: each.source)],
    )


def _partition(partition: Partition) -> PartitionReport:
    is_paused = partition.hold is Hold.ACTIVE and partition.paused
    return PartitionReport(
        topic=partition.source.topic,
        partition=partition.source.partition,
        state="paused" if is_paused else partition.hold.value,
        position=partition.position,
        settled=partition.settled,
        committed=partition.committed,
        end=max(partition.end, partition.settled) if partition.end >= 0 else -1,
        lag=partition.lag,
        epoch=partition.epoch,
        operator_paused=partition.operator_paused,
    )


def _limiter(health: Health) -> LimiterReport:
    gate = health.gate
    return LimiterReport(
        limit=gate.limit,
        floor=health.floor,
        ceiling=health.ceiling,
        writing=health.writing,
        waiting=gate.waiting,
        is_fixed=health.is_fixed,
        last_move=health.last_move,
    )


def _pool(using: str) -> PoolReport:
    pool: Any = getattr(connections[using], "pool", None)
    if pool is None:
        return PoolReport(0, 0, 0, 0)
    numbers = pool.get_stats()
    size = numbers.get("pool_size", 0)
    return PoolReport(
        size=size,
        max=numbers.get("pool_max", 0),
        in_use=max(0, size - numbers.get("pool_available", 0)),
        waiting=numbers.get("requests_waiting", 0),
    )


def _resident_bytes() -> int:
    """0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def storable(text: str) -> str:
    """Text as any database and any JSON reader takes it: without NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def process_name() -> str:
    """This process, as people tell it from others."""
    return f"{_host()}:{os.getpid()}"


@lru_cache(maxsize=1)
def _host() -> str:
    return socket.gethostname()
