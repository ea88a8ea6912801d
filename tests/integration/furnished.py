"""One row of everything that the admin shows, with a text of the test's own wherever text can come from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from consumers.headers import pack_headers
from consumers.models import (
    Alert,
    AlertDelivery,
    Control,
    ControlReply,
    FailedAttempt,
    FailedRecord,
    FailureEdit,
    FailureGroup,
    FailureNote,
    OffsetGap,
    PartitionLedger,
    PositionMove,
    RetryRun,
    Worker,
    WorkerEvent,
)
from tests.integration import inbox
from tests.integration.console_rows import consumer, ledger_line, partition, sample, worker
from tests.integration.retry_runs import start, team

KIND = 7


@dataclass(frozen=True)
class Furnished:
    """The rows that pages are about."""

    record: FailedRecord
    group: FailureGroup
    run: RetryRun
    worker: Worker
    control: Control
    alert: Alert
    ledger: PartitionLedger
    move: PositionMove
    gap: OffsetGap
    event: WorkerEvent

    def of(self, model: str) -> Any:
        """The row of a model, by its name in addresses."""
        rows = {each._meta.model_name: each for each in vars(self).values()}
        return rows[model]


def furnish(text: str = "a text", topic: str = "orders") -> Furnished:
    """Make them; the consumer `tests.integration.retry_runs.Teams` has to be registered for the record to be edited."""
    record = _failed(text, topic)
    inbox.fail(3, kind=KIND, reason=text[:100], exception=text, message=text, topic=topic)
    group = inbox.group(KIND)
    FailureGroup.objects.filter(pk=group.pk).update(assigned_to=text)
    FailureNote.objects.create(group=group, by=text, text=text)
    ledger = ledger_line(topic=topic)
    one = _worker(text, topic)
    return Furnished(
        record=record,
        group=group,
        run=_run(text),
        worker=one,
        control=_ordered(one, text, topic),
        alert=_alert(group, text),
        ledger=ledger,
        move=PositionMove.objects.create(
            group=text, topic=topic, partition=0, from_offset=1, to_offset=9, moved_by=text
        ),
        gap=OffsetGap.objects.create(group=text, topic=topic, partition=0, start=1, end=9),
        event=WorkerEvent.objects.create(worker=one, at=timezone.now(), kind="limit", text=text),
    )


def _failed(text: str, topic: str) -> FailedRecord:
    raw = text.encode()
    record = team(
        text,
        topic=topic,
        key=raw,
        headers=pack_headers(((text, raw), ("a", b"\xff"))),
        reason=text[:100],
        exception=text,
        message=text,
        traceback=f'Traceback (most recent call last):\n  File "{text}", line 1\n{text}',
        resolved_by=text,
        note=text,
    )
    FailureEdit.objects.create(record=record, value=b'{"name": "other"}', diff=f"-{text}", reason=text, by=text)
    FailedAttempt.objects.create(
        at=timezone.now(), record=record, by=text, reason=text[:100], exception=text, message=text
    )
    FailureNote.objects.create(record=record, by=text, text=text)
    author = User.objects.create(username=f"author-{record.pk}")
    LogEntry.objects.log_actions(author.pk, FailedRecord.objects.filter(pk=record.pk), CHANGE, text)
    return record


def _run(text: str) -> RetryRun:
    run = start(by=text)
    RetryRun.objects.filter(pk=run.pk).update(reason=text, shown_as=text, state_by=text, state_reason=text)
    run.refresh_from_db()
    run.progress.by_reason = {text: 3}
    run.progress.worker = text
    run.progress.save()
    return run


def _worker(text: str, topic: str) -> Worker:
    said = consumer(partition(topic=topic), holding=text, failed_by_reason={text: 3}, name=text[:100], group=text)
    one = worker(said, host=text, version=text, why=text)
    sample(one, timezone.now(), consumer=text[:100])
    return one


def _ordered(one: Worker, text: str, topic: str) -> Control:
    control = Control.objects.create(kind="pause", group=text, topic=topic, by=text, reason=text)
    ControlReply.objects.create(control=control, worker=one.pk, worker_name=text, state="done", text=text)
    return control


def _alert(group: FailureGroup, text: str) -> Alert:
    path = reverse("admin:consumers_failuregroup_change", args=[group.pk])
    alert = Alert.objects.create(
        kind="new_group", key=text, title=text, detail=text, path=path, group=group, at=timezone.now()
    )
    AlertDelivery.objects.create(alert=alert, channel="webhook", state="given_up", next_at=timezone.now(), error=text)
    return alert
