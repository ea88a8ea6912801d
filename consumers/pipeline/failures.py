"""From an error to a `Failure`, and from there to the table of failed records."""

from __future__ import annotations

import traceback as tracebacks
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from django.utils import timezone

from consumers.core.errors import RecordError, TooLarge
from consumers.core.fingerprint import fingerprint
from consumers.core.outcomes import Failure
from consumers.core.records import Record
from consumers.headers import pack_headers
from consumers.models import FailedRecord
from consumers.postgres.errors import Trouble, classify, describe

_REASON_LIMIT = FailedRecord._meta.get_field("reason").max_length
_MESSAGE_LIMIT = 4_000
_TRACEBACK_LIMIT = 32_000
_REASONS = {Trouble.CONSTRAINT: "constraint", Trouble.DATA: "data"}


def failure(record: Record, error: BaseException, reason: str | None = None) -> Failure:
    """What is kept of an error. The reason is the error's own, the database's verdict, or `handler_error`."""
    trouble = classify(error)
    if isinstance(error, RecordError):
        kind, reason, message, trace = "", reason or error.reason, str(error), ""
    elif trouble in _REASONS:
        # The driver's text repeats the row's values; its primary message and the frames say enough.
        kind, reason, message = type(error).__name__, reason or _REASONS[trouble], describe(error)
        trace = "".join(tracebacks.format_tb(error.__traceback__))
    else:
        kind, reason = _qualified(type(error)), reason or "handler_error"
        message, trace = _said(error), "".join(tracebacks.format_exception(error))
    return Failure(
        record=record,
        reason=_storable(reason, _MESSAGE_LIMIT)[:_REASON_LIMIT],
        message=_storable(message, _MESSAGE_LIMIT),
        exception=kind[:255],
        traceback=_storable(trace, _TRACEBACK_LIMIT),
        fingerprint=fingerprint(reason, kind, _place(error), message),
    )


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
_PENDING_AGAIN = ("status", "resolved_at", "resolved_by")
_VERDICT = ("reason", "exception", "message", "traceback", "fingerprint", "last_failed_at")


def failed_again(row: FailedRecord, verdict: Failure, now: datetime) -> FailedRecord:
    """Note on a stored record that it failed once more, and why. The caller saves it."""
    for name in _VERDICT[:-1]:
        setattr(row, name, getattr(verdict, name))
    row.last_failed_at = now
    row.attempts += 1
    return row


FAILED_AGAIN_FIELDS = [*_VERDICT, "attempts"]


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
        **{name: getattr(each, name) for name in _VERDICT[:-1]},
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


def _said(error: BaseException) -> str:
    """The error's text; an error of somebody else's may fail even at that."""
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001
        return f"(its text cannot be had: {type(broken).__name__})"


def _qualified(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _place(error: BaseException) -> str:
    frames = tracebacks.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].name}" if frames else ""


def _storable(text: str, limit: int) -> str:
    """Text that a column can hold: no NUL, no lone surrogates, not endless."""
    clean = text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
    return clean if len(clean) <= limit else clean[: limit // 2] + "\n[…]\n" + clean[-limit // 2 :]
