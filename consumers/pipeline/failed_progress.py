"""Progress of failed records that are processed again: kept in the failed records themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from django.db.models import F, Q
from django.utils import timezone

from consumers.core.chunks import Chunk
from consumers.core.outcomes import Outcomes
from consumers.core.policies import RetryPolicy
from consumers.core.records import Record
from consumers.models import FailedRecord
from consumers.pipeline.hold import Held, failed_before
from consumers.pipeline.keep import FAILED_AGAIN_FIELDS, failed_again


class FailedRecordProgress:
    """Keeps progress in the failed records themselves, which the caller has locked."""

    def __init__(self, rows: Sequence[FailedRecord], by: str, policy: RetryPolicy, using: str) -> None:
        """`rows` are of one consumer group."""
        in_order = sorted(rows, key=lambda row: (row.topic, row.partition, row.offset))
        self._rows = {(row.topic, row.partition, row.offset): row for row in in_order}
        self._policy = policy
        self._by = by
        self._using = using

    def records(self) -> Iterator[Record]:
        return (row.to_record() for row in self._rows.values())

    def begin(self, chunk: Chunk) -> bool:
        return True

    def held(self, keys: Collection[str], chunk: Chunk) -> Held:
        others = Q(group__in={row.group for row in self._rows.values()})
        others &= ~Q(pk__in=[row.pk for row in self._rows.values()])
        return failed_before(keys, others, self._using)

    def finish(self, chunk: Chunk, outcomes: Outcomes) -> None:
        now = timezone.now()
        again = [failed_again(self._row(each.record), each, self._policy, now) for each in outcomes.failures]
        FailedRecord.objects.using(self._using).bulk_update(again, FAILED_AGAIN_FIELDS)
        for rows, pks in self._resolved(outcomes).items():
            FailedRecord.objects.using(self._using).filter(pk__in=pks).update(
                status=FailedRecord.Status.RESOLVED,
                resolved_at=now,
                resolved_by=self._by,
                rows_written=rows,
                attempts=F("attempts") + 1,
            )

    def _resolved(self, outcomes: Outcomes) -> dict[int, list[int]]:
        """Keys of the failed records that went well, by the number of rows they became."""
        resolved: dict[int, list[int]] = {}
        for record in outcomes.written:
            resolved.setdefault(outcomes.rows_of(record), []).append(self._row(record).pk)
        resolved.setdefault(0, []).extend(self._row(r).pk for r in (*outcomes.duplicates, *outcomes.skipped))
        return resolved

    def _row(self, record: Record) -> FailedRecord:
        return self._rows[record.topic, record.partition, record.offset]
