"""Storing an edit, trying it out, and taking it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import DatabaseError, transaction
from django.utils import timezone

from consumers.models import FailedRecord, FailureEdit, FailureNote
from consumers.pipeline.edited import edits_in_force

if TYPE_CHECKING:
    from consumers.inbox.trial import Trial


class CannotEdit(Exception):
    """The record can't be edited now; the message says why, and what to do."""


@dataclass(frozen=True)
class Base:
    """What is edited: the value in force, and the edit that it comes from, if any."""

    value: bytes
    edit: int | None

    @property
    def state(self) -> str:
        """Equal as long as nobody has edited the record meanwhile."""
        return str(self.edit or "as received")


@dataclass(frozen=True)
class Change:
    """An edit that is ready to be stored."""

    value: bytes
    diff: str
    reason: str
    by: str


def base_of(record: FailedRecord) -> Base:
    """The value that the next attempt would process."""
    edit = edits_in_force([record.pk], record._state.db or "default").get(record.pk)
    if edit is not None:
        return Base(bytes(edit.value), edit.pk)
    return Base(b"" if record.value is None else bytes(record.value), None)


def try_edit(record: FailedRecord, change: Change) -> Trial:
    """What would become of the record with the edit: all of it is rolled back."""
    from consumers.inbox.trial import try_out  # loads the whole engine

    with transaction.atomic():
        _store(record, change)
        trial = try_out([record.pk], change.by)
        transaction.set_rollback(True)
    return trial


def keep_edit(record: FailedRecord, change: Change, base: Base) -> FailureEdit:
    """Store the edit.

    Raises:
        CannotEdit: the record is not pending any more, is being processed, or was edited meanwhile.
    """
    with transaction.atomic():
        _lock_pending(record)
        if base_of(record).state != base.state:
            raise CannotEdit("somebody else has edited it meanwhile; begin again with that edit")
        return _store(record, change)


def withdraw(record: FailedRecord, by: str) -> bool:
    """Take the edit in force back: the value before it is processed again. False if there is none.

    Raises:
        CannotEdit: the record is not pending any more, or is being processed.
    """
    with transaction.atomic():
        _lock_pending(record)
        edit = edits_in_force([record.pk], record._state.db or "default").get(record.pk)
        if edit is None:
            return False
        edit.withdrawn_at, edit.withdrawn_by = timezone.now(), by
        edit.save(update_fields=["withdrawn_at", "withdrawn_by"])
        _note(record, by, f"Withdrew the edit of {edit.by}.")
    return True


def _lock_pending(record: FailedRecord) -> None:
    try:
        with transaction.atomic():
            locked = FailedRecord.objects.select_for_update(nowait=True).only("status").get(pk=record.pk)
    except DatabaseError:
        raise CannotEdit("it is being processed right now; try again in a moment") from None
    if locked.status != FailedRecord.Status.PENDING:
        raise CannotEdit(f"it is {locked.status} meanwhile")


def _store(record: FailedRecord, change: Change) -> FailureEdit:
    edit = FailureEdit.objects.create(
        record=record, value=change.value, diff=change.diff, reason=change.reason, by=change.by
    )
    _note(record, change.by, change.reason)
    return edit


def _note(record: FailedRecord, by: str, text: str) -> None:
    FailureNote.objects.create(record=record, by=by, kind=FailureNote.Kind.EDIT, text=text)
