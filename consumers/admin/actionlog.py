"""The log of what users did to failed records: Django's own, shown as each record's history."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import QuerySet

from consumers.models import FailedRecord, FailureNote, RetryRun


def log_each(user: Any, records: QuerySet[FailedRecord], text: str) -> None:
    """An entry for every record."""
    LogEntry.objects.log_actions(user.pk, records.only("topic", "partition", "offset", "reason"), CHANGE, text)


def log_outcomes(user: Any, ids: tuple[int, ...]) -> None:
    """What has become of each record that was reprocessed."""
    records = FailedRecord.objects.filter(pk__in=ids)
    log_each(user, records.filter(status=FailedRecord.Status.RESOLVED), "Reprocessed: resolved")
    log_each(user, records.filter(status=FailedRecord.Status.PENDING), "Reprocessed: still pending")


def log_together(user: Any, what: str, text: str) -> None:
    """One entry for a multitude: one for each would write as many rows as were changed."""
    kind = ContentType.objects.get_for_model(FailedRecord)
    LogEntry.objects.create(
        user_id=user.pk, content_type=kind, object_repr=what[:200], action_flag=CHANGE, change_message=text
    )


def log_run(user: Any, run: RetryRun, text: str) -> None:
    """What somebody did to a run, shown as its history."""
    LogEntry.objects.create(
        user_id=user.pk,
        content_type=ContentType.objects.get_for_model(RetryRun),
        object_id=str(run.pk),
        object_repr=str(run),
        action_flag=CHANGE,
        change_message=text,
    )


def note_reveal(user: Any, record: FailedRecord) -> None:
    """Somebody is about to be shown what the consumer redacts."""
    with transaction.atomic():
        FailureNote.objects.create(record=record, by=user.get_username(), kind=FailureNote.Kind.REVEAL)
        log_each(user, FailedRecord.objects.filter(pk=record.pk), "Revealed what the consumer redacts")
