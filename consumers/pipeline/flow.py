"""The life of a chunk, top to bottom: `prepare` it (decode, prefetch), `process` it, `settle` it in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from django.db import connections, transaction

from consumers.consumer import BatchConsumer
from consumers.core.chunks import Chunk
from consumers.core.flood import FloodGuard
from consumers.core.outcomes import Outcomes
from consumers.core.records import TopicPartition
from consumers.pipeline.decode import Decoded, EventDecoder
from consumers.pipeline.hold import Held, HoldingWriter
from consumers.pipeline.mask import Masker
from consumers.pipeline.process import Processor
from consumers.pipeline.units import Units
from consumers.pipeline.write import Writer
from consumers.stages import Stages


@dataclass(frozen=True)
class Prepared:
    """A chunk whose events are decoded, with what they need (`context`); `outcomes` holds the records that are none."""

    chunk: Chunk
    decoded: Decoded
    context: Any
    outcomes: Outcomes


@dataclass(frozen=True)
class Processed:
    """A chunk whose rows are ready; `outcomes` holds the records that ended on the way."""

    chunk: Chunk
    units: Units
    outcomes: Outcomes

    def without(self, sources: Iterable[TopicPartition]) -> Processed:
        """The same, less some partitions."""
        gone = frozenset(sources)
        if not gone & self.chunk.spans.keys():
            return self
        units = self.units.picked([record.source not in gone for record in self.units.records])
        return replace(self, chunk=self.chunk.without(gone), units=units, outcomes=self.outcomes.without(gone))


class Progress(Protocol):
    """How progress is kept: in the ledger for records of the log, in their own rows for failed records."""

    def begin(self, chunk: Chunk) -> bool:
        """First in the transaction: lock what tells the progress. False if the chunk was settled before.

        Raises:
            Fenced: some of it is not ours.
        """
        ...

    def held(self, keys: Collection[str], chunk: Chunk) -> Held:
        """Where pending failures from before this chunk hold its keys back."""
        ...

    def finish(self, chunk: Chunk, outcomes: Outcomes) -> None:
        """Last in the transaction: keep the failures and move the progress."""
        ...


class Flow:
    """The stages of one consumer, run over chunk after chunk."""

    def __init__(
        self,
        consumer: BatchConsumer[Any, Any],
        *,
        using: str,
        guard: FloodGuard,
        concurrency: int = 0,
        idle: float = 30,
        stages: Stages | None = None,
    ) -> None:
        """`concurrency` 0 takes the consumer's own; `idle` is in seconds (see `transaction_idle_timeout`); `stages` is
        told where the time goes."""
        self._stages = stages or Stages()
        self._consumer = consumer
        self._using = using
        self._guard = guard
        self._decoder = EventDecoder(consumer.event, consumer.batch.record_bytes)
        self._processor = Processor(consumer, concurrency or consumer.max_concurrency)
        self._writer = Writer(consumer, using)
        self._holding = HoldingWriter(self._writer) if consumer.retry.hold_key else None
        self._masker = Masker(type(consumer))
        self._begin = (
            f"SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL idle_in_transaction_session_timeout = {idle * 1000:.0f}"
        )

    def prepare(self, chunk: Chunk) -> Prepared:
        """Decode the records and fetch what they need. Writes nothing; may be repeated.

        Raises:
            FatalError: from the consumer's own code.
            Exception: an outage of the database, in `prefetch`.
        """
        outcomes = Outcomes()
        with self._stages.spend("decode"):
            decoded = self._decoder.decode(chunk.records, outcomes)
        with self._stages.spend("prefetch"):
            events = [*decoded.events]  # the consumer's own list: it may sort it
            context = self._consumer.prefetch(events) if events else None
        return Prepared(chunk, decoded, context, outcomes)

    def process(self, prepared: Prepared) -> Processed:
        """Make the rows, without the database; may be repeated.

        Raises:
            FatalError: from the consumer's own code, or because it queried the database.
            Exception: what `process` raised is an outage of the database.
        """
        outcomes = prepared.outcomes.copy()
        with self._stages.spend("process"):
            units = self._processor.process(prepared.decoded, prepared.context, outcomes)
        return Processed(prepared.chunk, units, outcomes)

    def settle(self, processed: Processed, progress: Progress, report: Outcomes) -> None:
        """Write a chunk's rows, its failures and its progress in one transaction; may be repeated after an outage.

        `report` receives what became of the records, before COMMIT: if the connection is lost in it, the repetition
        finds the chunk settled and `report` still holds the truth.

        Raises:
            Fenced: the chunk, or a part of it, is not ours any more. Nothing is written.
            FatalError: flood, or books that do not balance. Nothing is written.
            Exception: an outage of the database. Whether anything was written, the next attempt will find out.
        """
        with self._stages.spend("settle"), transaction.atomic(using=self._using):
            self._prepare_transaction()
            if not progress.begin(processed.chunk):
                return
            outcomes = processed.outcomes.copy()
            with self._stages.spend("write"):
                self._write(processed, progress, outcomes)
            outcomes.balance(processed.chunk.records)
            outcomes.failures = self._masker.masked(outcomes.failures)
            self._guard.judge(outcomes)
            progress.finish(processed.chunk, outcomes)
            report.replace(outcomes)
        self._guard.remember(report)

    def _write(self, processed: Processed, progress: Progress, outcomes: Outcomes) -> None:
        if self._holding is None:
            self._writer.write(processed.units, outcomes)
            return
        keys = processed.units.keys
        self._holding.write(processed.units, outcomes, progress.held(keys, processed.chunk) if keys else {})

    def _prepare_transaction(self) -> None:
        """Foreign keys are checked with each statement, so that a bad record shows inside its savepoint; and a frozen
        process holds its locks for a bounded time only."""
        with connections[self._using].cursor() as cursor:
            cursor.execute(self._begin)
