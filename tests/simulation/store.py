"""The engine's `Storage` on a database in memory: the ledger, a chunk's progress, and its settlement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from consumers.consumer import BatchConsumer
from consumers.core.chunks import Chunk, Span, gaps
from consumers.core.errors import Fenced
from consumers.core.ledger import Position
from consumers.core.outcomes import Outcomes, Tally
from consumers.core.records import Record, TopicPartition
from consumers.core.source import Offsets
from consumers.engine.storage import DatabaseStorage
from consumers.pipeline.flow import Prepared, Processed
from consumers.pipeline.progress import LedgerProgress
from consumers.pipeline.units import Unit
from consumers.settings import EngineSettings
from tests.simulation.database import Client, Line, MemoryDatabase, Place, Transaction


class MemoryLedger:
    """The ledger's SQL, within one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def claim(self, starts: Offsets) -> dict[TopicPartition, Position]:
        claimed = {}
        for source, start in sorted(starts.items()):
            self._transaction.statement("claim")
            self._transaction.lock(source)
            line = self._transaction.line(source) or Line(start, start, start)
            line.epoch += 1
            self._transaction.new.lines[source] = line
            claimed[source] = line.position
        return claimed

    def lock(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, Position]:
        self._transaction.statement("begin")
        found = {}
        for source in sorted(sources):
            self._transaction.lock(source)
            line = self._transaction.line(source)
            if line is not None:
                found[source] = line.position
        return found

    def advance(
        self,
        spans: Mapping[TopicPartition, Span],
        tallies: Mapping[TopicPartition, Tally],
        rows: Counter[TopicPartition],
    ) -> None:
        for source, span in spans.items():
            line = self._transaction.line(source)
            assert line is not None
            line.missing += max(0, span.end - line.counted_to - tallies[source].received)
            line.counted_to = max(line.counted_to, span.end)
            line.next_offset = span.end
            line.tally.add(tallies[source])
            line.rows += rows[source]
            self._transaction.new.lines[source] = line


class MemoryProgress(LedgerProgress):
    """A chunk's progress: begins as the real one does, and keeps in memory what that keeps in tables."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        super().__init__(cast(Any, MemoryLedger(transaction)), "")

    def finish(self, chunk: Chunk, outcomes: Outcomes) -> None:
        new = self._transaction.new
        new.failed = {place(each.record): each.reason for each in outcomes.failures}
        for what in ("written", "duplicates", "skipped"):
            new.settled += [(place(record), what) for record in getattr(outcomes, what)]
        self._transaction.resolved = [where for where, _ in new.settled]
        new.settled += [(where, "failed") for where in new.failed]
        new.gaps = [(source, gap) for source, found in gaps(chunk.spans, chunk.records).items() for gap in found]
        self._ledger.advance(chunk.spans, outcomes.tallies(chunk.spans, self._counted(chunk)), outcomes.rows())


class MemoryStorage(DatabaseStorage):
    """A member's `Storage`. Records are decoded and processed by the real stages; what follows is as `Flow.settle`."""

    def __init__(
        self, database: MemoryDatabase, client: Client, consumer: BatchConsumer[Any, Any], settings: EngineSettings
    ) -> None:
        super().__init__(consumer, settings, consumer.name)
        self.database = database
        self.client = client

    def paused(self, sources: Sequence[TopicPartition]) -> set[TopicPartition]:
        Transaction(self.database, self.client).statement("look")
        return self.database.paused & set(sources)

    def known(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        transaction = Transaction(self.database, self.client)
        transaction.statement("look")
        lines = {source: transaction.line(source) for source in sources}
        return {source: line.next_offset for source, line in lines.items() if line is not None}

    def claim(self, starts: Offsets) -> dict[TopicPartition, Position]:
        with self.database.transaction(self.client) as transaction:
            return MemoryLedger(transaction).claim(starts)

    def prepare(self, chunk: Chunk) -> Prepared:
        self.client.at("prepare", chunk)
        return super().prepare(chunk)

    def process(self, prepared: Prepared) -> Processed:
        self.client.at("process", prepared.chunk)
        return super().process(prepared)

    def settle(self, processed: Processed, report: Outcomes) -> None:
        with self.database.transaction(self.client) as transaction:
            progress = MemoryProgress(transaction)
            if not self._is_due(progress, processed.chunk):
                return
            outcomes = processed.outcomes.copy()
            self.write(transaction, processed, outcomes)
            outcomes.balance(processed.chunk.records)
            progress.finish(processed.chunk, outcomes)
            report.replace(outcomes)

    def _is_due(self, progress: MemoryProgress, chunk: Chunk) -> bool:
        try:
            is_due = progress.begin(chunk)
        except Fenced as fenced:
            self.client.note("fenced", tuple(sorted(fenced.sources)))
            raise
        if not is_due:
            self.client.note("was settled", chunk)
        return is_due

    def write(self, transaction: Transaction, processed: Processed, outcomes: Outcomes) -> None:
        """INSERT .. ON CONFLICT DO NOTHING, in the order of the keys; waits for others who insert the same."""
        transaction.statement("write", processed.chunk)
        for key, unit in in_order(processed.units):
            transaction.lock(key)
            known = transaction.row(key)
            if known is None:
                transaction.new.rows[key] = place(unit.record)
            outcomes.wrote(unit.record, int(known is None))


def in_order(units: Sequence[Unit]) -> list[tuple[str, Unit]]:
    keyed = [(row.number, unit) for unit in units for row in unit.rows]
    return sorted(keyed, key=lambda pair: (pair[0], pair[1].record.offset))


def place(record: Record) -> Place:
    return Place(record.source, record.offset)
