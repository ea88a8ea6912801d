"""Processing failed records again: the same pipeline with another source.

A selection is worked off chunk by chunk. Each chunk's records are locked (SKIP LOCKED, so that two runs never take the
same one), run through the consumer that failed them, and their rows and new status are one transaction.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from django.db import connections, models, transaction
from django.db.models.functions import Length

from consumers import registry
from consumers.concurrency import end_thread
from consumers.core.chunks import Chunk
from consumers.core.errors import ConsumerError, Misconfigured, TransientError
from consumers.core.flood import FloodGuard, FloodPolicies, FloodPolicy
from consumers.core.outcomes import Outcomes
from consumers.database import connection_scope, forbid_queries_in_workers
from consumers.models import RETRIABLE, FailedRecord
from consumers.pipeline.failed_progress import FailedRecordProgress
from consumers.pipeline.flow import Flow
from consumers.postgres.errors import describe, is_outage
from consumers.settings import EngineSettings, engine_settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which pending failed records; all conditions must hold, those left out hold always."""

    ids: tuple[int, ...] | None = None
    consumer: str | None = None
    topic: str | None = None
    reason: str | None = None
    fingerprint: str | None = None
    since: datetime | None = None
    """Last failed at this moment or later."""
    until: datetime | None = None
    """Last failed before this moment."""
    waits_for: str | None = None
    """The row that they wait for, as `ads.campaign:7`."""
    due_at: datetime | None = None
    """Only those that are due again by themselves at this moment."""
    limit: int | None = None

    def queryset(self, using: str) -> models.QuerySet[FailedRecord]:
        """The pending records that match, without regard to `limit`; not those of which only the head was kept."""
        conditions = {
            "id__in": self.ids,
            "consumer": self.consumer,
            "topic": self.topic,
            "reason": self.reason,
            "fingerprint": self.fingerprint,
            "last_failed_at__gte": self.since,
            "last_failed_at__lt": self.until,
            "waits_for": self.waits_for,
            "retry_after__lte": self.due_at,
        }
        given = {name: value for name, value in conditions.items() if value is not None}
        return FailedRecord.objects.using(using).filter(RETRIABLE, **given)


@dataclass
class Result:
    """What a run came to."""

    attempted: int = 0
    resolved: int = 0
    failed: int = 0
    duplicates: int = 0
    """Of the resolved ones, those whose rows were in the table already."""
    skipped: int = 0
    """Of the resolved ones, those that the consumer made no row of."""
    by_reason: dict[str, int] = field(default_factory=dict)
    """Records that failed again, by reason."""

    def add(self, other: Result) -> None:
        self.attempted += other.attempted
        self.resolved += other.resolved
        self.failed += other.failed
        self.duplicates += other.duplicates
        self.skipped += other.skipped
        for reason, count in other.by_reason.items():
            self.by_reason[reason] = self.by_reason.get(reason, 0) + count

    def count(self, outcomes: Outcomes) -> None:
        """Take in what became of a chunk."""
        tally = outcomes.tally()
        good = tally.received - tally.failed
        by_reason = Counter(each.reason for each in outcomes.failures)
        self.add(Result(tally.received, good, tally.failed, tally.duplicates, tally.skipped, dict(by_reason)))


class _RolledBack(Exception):
    """Ends a dry run's transaction."""


def reprocess(
    selection: Selection, *, by: str, dry_run: bool = False, settings: EngineSettings | None = None
) -> Result:
    """Process the selected records again; those that go well are marked resolved by `by`.

    With `dry_run` the consumers really run, in transactions that are rolled back: the result tells what would happen.

    Raises:
        Misconfigured: a record's consumer is not registered any more.
        TransientError: the database had an outage; what was resolved before stays resolved.
    """
    settings = settings or engine_settings()
    forbid_queries_in_workers()
    result = Result()
    try:
        for name in _consumers(selection, settings.database):
            with connection_scope():
                _Worker(name, selection, by, dry_run, settings).work_off(result)
    except ConsumerError:
        raise
    except Exception as error:
        if not is_outage(error):
            raise
        raise TransientError(f"database outage while reprocessing: {describe(error)}") from error
    finally:
        end_thread()
    return result


def _consumers(selection: Selection, using: str) -> list[str]:
    """The names of the consumers that have work, each registered."""
    names = sorted(selection.queryset(using).order_by().values_list("consumer", flat=True).distinct())
    for name in names:
        try:
            registry.get(name)
        except Misconfigured as error:
            raise Misconfigured(f"cannot reprocess the failed records of {name!r}: {error}") from error
    return names


class Processing:
    """A consumer's pipeline over records that it failed, inside a transaction of the caller's."""

    def __init__(self, name: str, by: str, settings: EngineSettings, run: int | None = None) -> None:
        """`name` is the consumer's; `by` resolves what goes well, `run` is the retry run's key, if it is one.

        Raises:
            Misconfigured: the consumer is not registered.
        """
        self.consumer = registry.get(name)()
        self._by = by
        self._run = run
        self._using = settings.database
        self._flow = Flow(
            self.consumer,
            using=settings.database,
            guard=FloodGuard(FloodPolicies(FloodPolicy(enabled=False))),
            idle=settings.transaction_idle_timeout,
        )

    def attempt(self, rows: Sequence[FailedRecord], result: Result) -> None:
        """Process records that the caller has locked, and count what became of them."""
        size = self.consumer.batch.chunk_records
        for _, group in groupby(sorted(rows, key=_group), key=_group):
            alike = list(group)
            for at in range(0, len(alike), size):
                self._attempt_chunk(alike[at : at + size], result)

    def _attempt_chunk(self, rows: list[FailedRecord], result: Result) -> None:
        """Rows of one consumer group, whose positions tell them apart."""
        with connections[self._using].cursor() as cursor:
            cursor.execute(_PATIENCE)
        progress = FailedRecordProgress(rows, self._by, self.consumer.retry, self._using, self._run)
        chunk = Chunk({}, tuple(progress.records()))
        outcomes = Outcomes()
        self._flow.settle(self._flow.process(self._flow.prepare(chunk)), progress, outcomes)
        result.count(outcomes)


def _group(row: FailedRecord) -> str:
    return row.group


_PATIENCE = "SET LOCAL idle_in_transaction_session_timeout = '10min'"
"""The records are locked while the consumer works on them and the transaction idles. The one of a frozen process has an
end; the engine's own setting, for which nothing but the database is waited for, comes back with the writing."""


def next_ids(pending: models.QuerySet[FailedRecord], count: int, room: int) -> list[int]:
    """The next records by id, at most `count` and with values of `room` bytes in all, but at least one."""
    sizes = pending.order_by("id").annotate(size=Length("value")).values_list("id", "size")[:count]
    ids: list[int] = []
    for pk, size in sizes:
        room -= size or 0
        if ids and room < 0:
            break
        ids.append(pk)
    return ids


class _Worker:
    """Works off the part of a selection that one consumer failed."""

    def __init__(self, name: str, selection: Selection, by: str, dry_run: bool, settings: EngineSettings) -> None:
        self._processing = Processing(name, by, settings)
        self._batch = self._processing.consumer.batch
        self._selection = selection
        self._dry_run = dry_run
        self._using = settings.database

    def work_off(self, result: Result) -> None:
        """Every record that is pending now is attempted once; those that fail meanwhile are left for the next run."""
        pending = self._selection.queryset(self._using).filter(consumer=self._processing.consumer.name)
        newest = pending.order_by("-id").values_list("id", flat=True).first()
        last = 0
        while newest is not None:
            left = pending.filter(id__gt=last, id__lte=newest)
            batch = next_ids(left, self._room(result), self._batch.chunk_bytes)
            if not batch:
                return
            self._attempt_in_transaction(pending.filter(id__in=batch), result)
            last = batch[-1]

    def _attempt_in_transaction(self, pending: models.QuerySet[FailedRecord], result: Result) -> None:
        """Lock what is still pending and not locked by another run, and attempt it."""
        try:
            with transaction.atomic(using=self._using):
                self._processing.attempt(list(pending.order_by("id").select_for_update(skip_locked=True)), result)
                if self._dry_run:
                    raise _RolledBack
        except _RolledBack:
            pass

    def _room(self, result: Result) -> int:
        limit, chunk = self._selection.limit, self._batch.chunk_records
        return chunk if limit is None else max(0, min(chunk, limit - result.attempted))
