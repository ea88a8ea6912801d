"""Progress of records from the log: the ledger's lines, fenced by their epochs."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from django.db.models import Q

from consumers.core.chunks import Chunk, gaps
from consumers.core.ledger import Position, Standing, judge
from consumers.core.outcomes import Outcomes
from consumers.core.records import TopicPartition
from consumers.ledger import Ledger
from consumers.models import OffsetGap
from consumers.pipeline.hold import Held, failed_before
from consumers.pipeline.keep import resolve_redelivered, store_failures


class LedgerProgress:
    """Keeps one chunk's progress in the ledger."""

    def __init__(self, ledger: Ledger, consumer: str) -> None:
        self._ledger = ledger
        self._consumer = consumer
        self._lines: dict[TopicPartition, Position] = {}

    def begin(self, chunk: Chunk) -> bool:
        self._lines = self._ledger.lock(chunk.spans)
        return judge(self._lines, chunk.spans, chunk.epochs) is Standing.DUE

    def held(self, keys: Collection[str], chunk: Chunk) -> Held:
        before = Q(*(Q(**source._asdict(), offset__lt=span.start) for source, span in chunk.spans.items()))
        before.connector = Q.OR
        return failed_before(keys, Q(group=self._ledger.group) & before, self._ledger.using)

    def finish(self, chunk: Chunk, outcomes: Outcomes) -> None:
        group, using, counted = self._ledger.group, self._ledger.using, self._counted(chunk)
        store_failures(outcomes.failures, consumer=self._consumer, group=group, using=using, are_new=not counted)
        if counted:
            good = (*outcomes.written, *outcomes.duplicates, *outcomes.skipped)
            again = [record for record in good if record.offset < counted.get(record.source, 0)]
            resolve_redelivered(again, group, using)
        self._store_gaps(chunk, counted)
        self._ledger.advance(chunk.spans, outcomes.tallies(chunk.spans, counted), outcomes.rows())

    def _counted(self, chunk: Chunk) -> dict[TopicPartition, int]:
        """Of the partitions of which some records were counted before: up to where."""
        lines = {source: self._lines[source] for source in chunk.spans}
        return {s: line.counted_to for s, line in lines.items() if chunk.spans[s].start < line.counted_to}

    def _store_gaps(self, chunk: Chunk, counted: Mapping[TopicPartition, int]) -> None:
        """Keep which offsets held nothing, for whoever asks later whether something was lost."""
        if len(chunk.records) == sum(span.end - span.start for span in chunk.spans.values()):
            return
        OffsetGap.objects.using(self._ledger.using).bulk_create(
            OffsetGap(group=self._ledger.group, topic=s.topic, partition=s.partition, start=gap.start, end=gap.end)
            for s, found in gaps(chunk.spans, chunk.records).items()
            for gap in found
            if gap.end > counted.get(s, 0)
        )
