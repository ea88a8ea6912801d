"""What a run asks of the database, in a few verbs, and the database's answer to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Protocol

from consumers.consumer import BatchConsumer
from consumers.core.chunks import Chunk
from consumers.core.flood import FloodGuard
from consumers.core.ledger import Position
from consumers.core.outcomes import Outcomes
from consumers.core.records import TopicPartition
from consumers.core.source import Offsets
from consumers.ledger import Ledger
from consumers.orders import standing_pauses
from consumers.pipeline.flow import Flow, Prepared, Processed
from consumers.pipeline.progress import LedgerProgress
from consumers.settings import EngineSettings
from consumers.stages import Stages


class Storage(Protocol):
    """One group's ledger and one consumer's tables. Called from greenlets, each call by a `Holder`, under a permit but
    for `process`; any may block its caller.

    Raises (any call): an outage, in which case whether the call took effect is open and it will be repeated.
    """

    group: str
    workers: int
    """How many workers process a chunk's records."""

    def use_workers(self, number: int) -> None:
        """Prepare the chunks to come with so many workers; 0 is the consumer's own number."""
        ...

    def paused(self, sources: Sequence[TopicPartition]) -> set[TopicPartition]:
        """Those that an operator has ordered not to be read."""
        ...

    def known(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Where the ledger stands, of those partitions that have a line."""
        ...

    def claim(self, starts: Offsets) -> dict[TopicPartition, Position]:
        """Raise the epoch of each partition, which fences whoever held it; one without a line starts at the offset."""
        ...

    def prepare(self, chunk: Chunk) -> Prepared:
        """Decode a chunk's records and fetch what they need. Writes nothing.

        Raises:
            FatalError: from the consumer's own code.
        """
        ...

    def process(self, prepared: Prepared) -> Processed:
        """Make a chunk's rows, without the database.

        Raises:
            FatalError: from the consumer's own code.
        """
        ...

    def settle(self, processed: Processed, report: Outcomes) -> None:
        """Write a chunk's rows, failures and progress in one transaction, if it joins on to the ledger under its
        epochs. `report` receives what became of the records; a repetition that finds the chunk settled leaves it be.

        Raises:
            Fenced: some of it is not ours any more. Nothing is written.
            FatalError: flood, or books that do not balance. Nothing is written.
        """
        ...


class DatabaseStorage:
    """Django's database: the ledger's table, and the stages that lead to the consumer's own."""

    def __init__(
        self,
        consumer: BatchConsumer[Any, Any],
        settings: EngineSettings,
        group: str,
        concurrency: int = 0,
        stages: Stages | None = None,
    ) -> None:
        """`concurrency` 0 takes the consumer's own; `stages` is told where the time goes."""
        self.group = group
        self._consumer = consumer.name
        self._settings = settings
        self._own_workers = concurrency or consumer.max_concurrency
        self._ledger = Ledger(group, settings.database, consumer.name)
        self._make_flow = partial(
            Flow,
            consumer,
            using=settings.database,
            guard=FloodGuard(settings.flood_policies()),
            idle=settings.transaction_idle_timeout,
            stages=stages,
        )
        self.use_workers(0)

    def use_workers(self, number: int) -> None:
        self.workers = number or self._own_workers
        self._flow = self._make_flow(concurrency=self.workers)

    def paused(self, sources: Sequence[TopicPartition]) -> set[TopicPartition]:
        if not self._settings.reporting_interval:
            return set()  # nobody would take an order back again
        pauses = standing_pauses(self._settings.database, self.group)
        return {source for source in sources if pauses.covers(source)}

    def known(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return self._ledger.known(sources)

    def claim(self, starts: Offsets) -> dict[TopicPartition, Position]:
        return self._ledger.claim(starts)

    def prepare(self, chunk: Chunk) -> Prepared:
        return self._flow.prepare(chunk)

    def process(self, prepared: Prepared) -> Processed:
        return self._flow.process(prepared)

    def settle(self, processed: Processed, report: Outcomes) -> None:
        self._flow.settle(processed, LedgerProgress(self._ledger, self._consumer), report)
