"""Failed records with the values that operators gave them. The value that a record came with is never overwritten."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from consumers.core.records import Record
from consumers.models import FailedRecord, FailureEdit


def edits_in_force(records: Collection[int], using: str) -> dict[int, FailureEdit]:
    """The latest edit of each failed record, by its key, unless it was withdrawn."""
    edits = FailureEdit.objects.using(using).filter(record__in=records, withdrawn_at=None).order_by("id")
    return {edit.record_id: edit for edit in edits}


def as_edited(row: FailedRecord, edit: FailureEdit | None) -> Record:
    """The record to process: with the edited value if there is one."""
    record = row.to_record()
    return record if edit is None else msgspec.structs.replace(record, value=bytes(edit.value))
