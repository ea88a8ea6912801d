"""Running the engine over an in-memory log, and reading what it left in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import Any

from consumers.concurrency import Permits, Scope, sleep
from consumers.core.policies import Backoff, BatchPolicy, RetryPolicy
from consumers.core.records import TopicPartition
from consumers.engine.runner import Runner, RunOptions
from consumers.engine.stats import Statistics
from consumers.models import FailedRecord, PartitionLedger
from consumers.settings import EngineSettings, engine_settings
from consumers.testing import MemoryLog, MemorySource, run_consumer
from tests.orders import TOPIC, OrderConsumer

P0, P1, P2 = (TopicPartition(TOPIC, number) for number in range(3))
AT_ONCE = Backoff(first=0.001, cap=0.001)
QUICK_RETRY = RetryPolicy(backoff=AT_ONCE)
SMALL = BatchPolicy(max_wait=0, chunk_records=2)


def log_of(*values: bytes | None, topic: str = TOPIC, partitions: int = 1) -> MemoryLog:
    """A log with these records in partition 0 of a topic."""
    log = MemoryLog({topic: partitions})
    for value in values:
        log.append(topic, value)
    return log


def settings_with(**changes: Any) -> EngineSettings:
    return replace(engine_settings(), **changes)


def consume(consumer: type[Any], *values: bytes | None, **changes: Any) -> Statistics:
    """Run a consumer over these values, to their end; `changes` are to the engine's settings."""
    return run_consumer(consumer, log_of(*values, topic=consumer.topics[0]), settings=settings_with(**changes))


def counts(statistics: Statistics) -> dict[str, int]:
    """The outcomes that did occur."""
    return {name: count for name, count in statistics.tally.as_dict().items() if count and name != "received"}


def ledger(group: str = "orders", partition: int = 0) -> dict[str, int]:
    """A partition's line, without what is zero."""
    names = ["next_offset", "received", "written", "duplicates", "skipped", "failed"]
    line = PartitionLedger.objects.filter(group=group, partition=partition).values(*names).get()
    return {name: value for name, value in line.items() if value}


def failures(*names: str) -> list[Any]:
    """These columns of the failed records, in order of offset."""
    rows = FailedRecord.objects.order_by("topic", "partition", "offset").values_list(*names)
    return [row[0] for row in rows] if len(names) == 1 else list(rows)


def move_back(group: str = "orders", to: int = 0) -> None:
    """What a replay does: the ledger stands earlier, and what is received again was counted."""
    PartitionLedger.objects.filter(group=group).update(next_offset=to)


class Harness:
    """A runner on an in-memory source, started in a scope so that a test can steer it meanwhile."""

    def __init__(
        self,
        consumer: type[Any] = OrderConsumer,
        log: MemoryLog | None = None,
        *,
        options: RunOptions | None = None,
        assign_all: bool = True,
        **changes: Any,
    ) -> None:
        self.log = log or log_of()
        settings = settings_with(**changes)
        self.source = MemorySource(self.log, consumer.topics, consumer.name, assign_all=assign_all)
        self.runner = Runner(consumer(), self.source, settings, Permits(settings.permits), options)

    @contextmanager
    def running(self) -> Iterator[Runner]:
        """The runner at work; drained and stopped when the block ends."""
        with Scope() as scope:
            scope.spawn(self.runner.run)
            yield self.runner
            self.runner.stop()

    def settled(self, source: TopicPartition = P0) -> int:
        partition = self.runner.partitions.get(source)
        return -1 if partition is None else partition.settled

    def counts(self) -> dict[str, int]:
        return counts(self.runner.statistics)


def wait_until(condition: Callable[[], object], what: str = "", timeout: float = 20.0) -> None:
    """Let the greenlets run until a condition holds."""
    deadline = monotonic() + timeout
    while not condition():
        assert monotonic() < deadline, f"not within {timeout:.0f} s: {what or condition}"
        sleep(0.002)
