"""What each attempt on a failed record came to: lines of `FailedAttempt`, written with the outcome they tell of."""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import datetime

from consumers.core.outcomes import Position
from consumers.models import FailedAttempt, FailedRecord

Kind = FailedAttempt.Kind


def note_received(
    rows: Iterable[FailedRecord], earlier: Container[Position], by: str, now: datetime, using: str
) -> None:
    """Records from the log failed. `rows` are stored and have their keys; `earlier` tells which had failed before."""
    kinds = {True: Kind.REDELIVERED, False: Kind.RECEIVED}
    _write(using, (_failed(row, kinds[(row.source, row.offset) in earlier], by, now) for row in rows))


def note_failed_again(rows: Iterable[FailedRecord], by: str, run: int | None, now: datetime, using: str) -> None:
    """Failed records were tried again and failed; `rows` hold what they failed with."""
    _write(using, (_failed(row, Kind.RETRIED, by, now, run) for row in rows))


def note_succeeded(
    pks: Iterable[int], kind: FailedAttempt.Kind, by: str, now: datetime, using: str, run: int | None = None
) -> None:
    """Failed records went well."""
    _write(using, (FailedAttempt(record_id=pk, at=now, kind=kind, by=by, succeeded=True, run_id=run) for pk in pks))


def _write(using: str, attempts: Iterable[FailedAttempt]) -> None:
    FailedAttempt.objects.using(using).bulk_create(attempts, batch_size=1_000)


def _failed(
    row: FailedRecord, kind: FailedAttempt.Kind, by: str, now: datetime, run: int | None = None
) -> FailedAttempt:
    return FailedAttempt(
        record_id=row.pk,
        at=now,
        kind=kind,
        by=by,
        reason=row.reason,
        exception=row.exception,
        message=row.message[: FailedAttempt.MESSAGE_CHARS],
        fingerprint=row.fingerprint,
        run_id=run,
    )
