"""Failed records in their table: stored when first received, changed when they fail or go well again."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from consumers.core.errors import TooLarge
from consumers.core.outcomes import Failure, Position
from consumers.core.policies import RetryPolicy
from consumers.core.records import Record, TopicPartition
from consumers.headers import pack_headers
from consumers.inbox.deltas import Deltas, Standing
from consumers.inbox.ending import end_pending
from consumers.models import PENDING, FailedAttempt, FailedRecord
from consumers.pipeline.history import note_received, note_succeeded
from consumers.pipeline.hold import HELD_BACK
from consumers.postgres.errors import breaks_uniqueness

logger = logging.getLogger(__name__)

_LONGEST = 3600.0
"""Seconds; a delay of the consumer's own may be longer."""


def store_failures(
    failures: Sequence[Failure], *, consumer: str, group: str, using: str, are_new: bool = False
) -> None:
    """Write failures of newly received records. One that failed before at this position is updated, never doubled.

    `are_new`: none is likely to have failed before. What is stored is then only looked at if that turns out wrong.
    """
    if failures:
        now = timezone.now()
        earlier: dict[Position, _Earlier] = {}
        rows = _stored_as_new(failures, consumer, group, now, using) if are_new else None
        if rows is None:
            earlier = _earlier(failures, group, using)
            rows = [_row(each, consumer, group, earlier, now) for each in failures]
            FailedRecord.objects.using(using).bulk_create(
                rows,
                update_conflicts=True,
                unique_fields=["group", "topic", "partition", "offset"],
                update_fields=[*_VERDICT, "attempts", *_AS_RECEIVED, *_PENDING_AGAIN],
            )
        deltas = Deltas(now)
        for row in rows:
            before = earlier.get((row.source, row.offset))
            deltas.failed(row, before and before.standing)
        deltas.write(using)
        note_received(rows, earlier.keys(), consumer, now, using)


def _stored_as_new(
    failures: Sequence[Failure], consumer: str, group: str, now: datetime, using: str
) -> list[FailedRecord] | None:
    """The failures, stored; None, and nothing stored, if one of them is there already."""
    rows = [_row(each, consumer, group, {}, now) for each in failures]
    try:
        with transaction.atomic(using=using):
            return FailedRecord.objects.using(using).bulk_create(rows)
    except IntegrityError as error:
        if not breaks_uniqueness(error):
            raise
        return None


_AS_RECEIVED = ("consumer", "value", "key", "headers", "timestamp")
_PENDING_AGAIN = ("status", "resolved_at", "resolved_by", "repeats")
_SAID = ("reason", "exception", "message", "traceback", "fingerprint", "waits_for")
_VERDICT = (*_SAID, "order_key", "last_failed_at", "retry_after")

FAILED_AGAIN_FIELDS = [*_VERDICT, "attempts", "repeats"]


def failed_again(row: FailedRecord, verdict: Failure, policy: RetryPolicy, now: datetime) -> FailedRecord:
    """Note on a stored record that it failed once more, and why. The caller saves it.

    A record that fails in the same way too often is not due again by itself, whatever it waits for.
    """
    alike = row.fingerprint == verdict.fingerprint
    for name in _SAID:
        setattr(row, name, getattr(verdict, name))
    row.order_key = verdict.key or row.order_key
    row.last_failed_at = now
    row.attempts += 1
    row.repeats = row.repeats + 1 if alike else 1
    row.retry_after = _due(verdict, row.repeats, now)
    if row.repeats >= policy.same_failures and verdict.reason != HELD_BACK and (row.retry_after or row.waits_for):
        logger.warning("loop guard: %s, %d times in a row; it is left to an operator", row, row.repeats)
        row.retry_after, row.waits_for = None, ""
    return row


def _due(verdict: Failure, repeats: int, now: datetime) -> datetime | None:
    """When a record that failed so often in the same way is due again by itself."""
    first = verdict.retry_after
    if not first:
        return None
    return now + timedelta(seconds=min(max(_LONGEST, first), first * 2.0 ** min(repeats - 1, 32)))


def resolve_redelivered(records: Iterable[Record], group: str, using: str) -> None:
    """Mark the pending failures of records that came again and went well this time."""
    offsets: dict[tuple[str, int], list[int]] = {}
    for record in records:
        offsets.setdefault(record.source, []).append(record.offset)
    failed = FailedRecord.objects.using(using)
    for (topic, partition), numbers in offsets.items():
        pending = failed.filter(PENDING, group=group, topic=topic, partition=partition, offset__in=numbers)
        if pks := list(pending.order_by("pk").select_for_update().values_list("pk", flat=True)):
            end_pending(failed.filter(pk__in=pks), FailedRecord.Status.RESOLVED, by="redelivery")
            note_succeeded(pks, FailedAttempt.Kind.REDELIVERED, "redelivery", timezone.now(), using)


class _Earlier(NamedTuple):
    """What is stored already at a position."""

    attempts: int
    standing: Standing


def _row(each: Failure, consumer: str, group: str, earlier: Mapping[Position, _Earlier], now: datetime) -> FailedRecord:
    record = each.record
    stamp = record.timestamp
    return FailedRecord(
        consumer=consumer,
        group=group,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=None if stamp is None else _moment(stamp),
        key=record.key,
        value=_kept(each),
        headers=pack_headers(record.headers),
        attempts=earlier[record.position].attempts + 1 if record.position in earlier else 1,
        first_failed_at=now,
        last_failed_at=now,
        retry_after=_due(each, 1, now),
        order_key=each.key,
        **{name: getattr(each, name) for name in _SAID},
    )


def _kept(each: Failure) -> bytes | None:
    value = each.record.value
    return value[: TooLarge.HEAD] if value and each.reason == TooLarge.REASON else value


def _earlier(failures: Sequence[Failure], group: str, using: str) -> dict[Position, _Earlier]:
    """What is stored already at these positions, locked: nobody changes its status before this transaction ends."""
    offsets: dict[TopicPartition, list[int]] = {}
    for each in failures:
        offsets.setdefault(each.record.source, []).append(each.record.offset)
    where = Q(*(Q(**source._asdict(), offset__in=numbers) for source, numbers in offsets.items()))
    where.connector = Q.OR
    rows = FailedRecord.objects.using(using).filter(where, group=group).order_by("id").select_for_update()
    return {
        (TopicPartition(topic, partition), offset): _Earlier(attempts, Standing(*standing))
        for topic, partition, offset, attempts, *standing in rows.values_list(*_EARLIER)
    }


_EARLIER = ("topic", "partition", "offset", "attempts", "consumer", "fingerprint", "status")


def _moment(milliseconds: int) -> datetime | None:
    """A producer may set any number as its timestamp; one that no date can hold is dropped."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
