"""Progress of failed records that are processed again: kept in the failed records themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from django.db.models import F, Q
from django.utils import timezone

from consumers.core.chunks import Chunk
from consumers.core.outcomes import Failure, Outcomes
from consumers.core.policies import RetryPolicy
from consumers.core.records import Record
from consumers.inbox.deltas import Deltas, Standing
from consumers.models import FailedAttempt, FailedRecord
from consumers.pipeline.edited import as_edited, edits_in_force
from consumers.pipeline.history import note_failed_again, note_succeeded
from consumers.pipeline.hold import Held, failed_before
from consumers.pipeline.keep import FAILED_AGAIN_FIELDS, failed_again
from consumers.pipeline.resave import resave


class FailedRecordProgress:
    """Keeps progress in the failed records themselves, which the caller has locked."""

    def __init__(
        self, rows: Sequence[FailedRecord], by: str, policy: RetryPolicy, using: str, run: int | None = None
    ) -> None:
        """`rows` are of one consumer group; `run` is the retry run that they are attempted in, if it is one."""
        in_order = sorted(rows, key=lambda row: (row.topic, row.partition, row.offset))
        self._rows = {(row.topic, row.partition, row.offset): row for row in in_order}
        self._policy = policy
        self._by = by
        self._run = run
        self._using = using

    def records(self) -> Iterator[Record]:
        """What to process: each record with the value that it came with, or the one it was given."""
        edits = edits_in_force([row.pk for row in self._rows.values()], self._using)
        return (as_edited(row, edits.get(row.pk)) for row in self._rows.values())

    def begin(self, chunk: Chunk) -> bool:
        return True

    def held(self, keys: Collection[str], chunk: Chunk) -> Held:
        others = Q(group__in={row.group for row in self._rows.values()})
        others &= ~Q(pk__in=[row.pk for row in self._rows.values()])
        return failed_before(keys, others, self._using)

    def finish(self, chunk: Chunk, outcomes: Outcomes) -> None:
        now = timezone.now()
        deltas = Deltas(now)
        again = [self._failed_again(each, now, deltas) for each in outcomes.failures]
        resave(again, FAILED_AGAIN_FIELDS, self._using)
        note_failed_again(again, self._by, self._run, now, self._using)
        for rows, pks in self._resolved(outcomes, deltas).items():
            FailedRecord.objects.using(self._using).filter(pk__in=pks).update(
                status=FailedRecord.Status.RESOLVED,
                resolved_at=now,
                resolved_by=self._by,
                rows_written=rows,
                attempts=F("attempts") + 1,
            )
            note_succeeded(pks, FailedAttempt.Kind.RETRIED, self._by, now, self._using, self._run)
        deltas.write(self._using)

    def _failed_again(self, verdict: Failure, now: datetime, deltas: Deltas) -> FailedRecord:
        row = self._row(verdict.record)
        before = Standing.of(row)
        deltas.failed(failed_again(row, verdict, self._policy, now), before)
        return row

    def _resolved(self, outcomes: Outcomes, deltas: Deltas) -> dict[int, list[int]]:
        """Keys of the failed records that went well, by the number of rows they became."""
        resolved: dict[int, list[int]] = {}
        for record in (*outcomes.written, *outcomes.duplicates, *outcomes.skipped):
            deltas.moved(Standing.of(self._row(record)), FailedRecord.Status.RESOLVED)
        for record in outcomes.written:
            resolved.setdefault(outcomes.rows_of(record), []).append(self._row(record).pk)
        resolved.setdefault(0, []).extend(self._row(r).pk for r in (*outcomes.duplicates, *outcomes.skipped))
        return resolved

    def _row(self, record: Record) -> FailedRecord:
        return self._rows[record.topic, record.partition, record.offset]
