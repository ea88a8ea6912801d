"""Failed records in their table: stored when first received, changed when they fail or go well again."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from consumers.core.errors import TooLarge
from consumers.core.outcomes import Failure
from consumers.core.policies import RetryPolicy
from consumers.core.records import Record
from consumers.headers import pack_headers
from consumers.models import FailedRecord
from consumers.pipeline.hold import HELD_BACK

logger = logging.getLogger(__name__)

_LONGEST = 3600.0
"""Seconds; a delay of the consumer's own may be longer."""


def store_failures(failures: Sequence[Failure], *, consumer: str, group: str, using: str) -> None:
    """Write failures of newly received records. One that failed before at this position is updated, never doubled."""
    if failures:
        attempts = _earlier_attempts(failures, group, using)
        now = timezone.now()
        rows = [_row(each, consumer, group, attempts, now) for each in failures]
        FailedRecord.objects.using(using).bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["group", "topic", "partition", "offset"],
            update_fields=[*_VERDICT, "attempts", *_AS_RECEIVED, *_PENDING_AGAIN],
        )


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
    for (topic, partition), numbers in offsets.items():
        FailedRecord.objects.using(using).filter(
            group=group, topic=topic, partition=partition, offset__in=numbers, status=FailedRecord.Status.PENDING
        ).update(status=FailedRecord.Status.RESOLVED, resolved_at=timezone.now(), resolved_by="redelivery")


def _row(each: Failure, consumer: str, group: str, attempts: dict[Record, int], now: datetime) -> FailedRecord:
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
        attempts=attempts.get(record, 0) + 1,
        first_failed_at=now,
        last_failed_at=now,
        retry_after=_due(each, 1, now),
        order_key=each.key,
        **{name: getattr(each, name) for name in _SAID},
    )


def _kept(each: Failure) -> bytes | None:
    value = each.record.value
    return value[: TooLarge.HEAD] if value and each.reason == TooLarge.REASON else value


def _earlier_attempts(failures: Sequence[Failure], group: str, using: str) -> dict[Record, int]:
    positions = {(each.record.topic, each.record.partition, each.record.offset): each.record for each in failures}
    earlier = FailedRecord.objects.using(using).filter(
        group=group,
        topic__in={topic for topic, _, _ in positions},
        offset__in=[offset for _, _, offset in positions],
    )
    found = earlier.values_list("topic", "partition", "offset", "attempts")
    return {
        positions[topic, partition, offset]: count
        for topic, partition, offset, count in found
        if (topic, partition, offset) in positions
    }


def _moment(milliseconds: int) -> datetime | None:
    """A producer may set any number as its timestamp; one that no date can hold is dropped."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
