"""What happened to a failed record so far: attempts, edits, and what people did and said."""

from __future__ import annotations

from typing import Any

from consumers.admin.editing.diff import shown
from consumers.admin.payload import Head, Part, parse, present_text, present_value, redaction_seen
from consumers.admin.redaction import Redaction
from consumers.admin.visible import moment, visible
from consumers.models import FailedAttempt, FailedRecord, FailureEdit

MOST = 50
"""Lines of each kind that a page shows."""


def attempts_of(record: FailedRecord, redaction: Redaction) -> dict[str, Any]:
    """The attempts, the newest first, and how many there were before the history was kept."""
    kept = list(record.attempt_set.order_by("-id")[: MOST + 1])
    return {
        "lines": [_attempt(each, redaction) for each in kept[:MOST]],
        "more": len(kept) > MOST,
        "unknown": 0 if len(kept) > MOST else max(0, record.attempts - sum(map(_is_counted, kept))),
    }


def _is_counted(attempt: FailedAttempt) -> bool:
    """A redelivery that goes well resolves the record without counting as an attempt of it."""
    return not (attempt.succeeded and attempt.kind == FailedAttempt.Kind.REDELIVERED)


def _attempt(attempt: FailedAttempt, redaction: Redaction) -> dict[str, Any]:
    return {
        "at": moment(attempt.at),
        "what": attempt.get_kind_display(),
        "by": visible(attempt.by),
        "run": attempt.run_id,
        "succeeded": attempt.succeeded,
        "reason": visible(attempt.reason),
        "exception": visible(attempt.exception),
        "message": present_text(attempt.message, redaction),
    }


def edits_of(record: FailedRecord, redaction: Redaction) -> list[dict[str, Any]]:
    """The edits, the newest first; the first one that is not withdrawn is what later attempts process."""
    edits = list(record.edits.defer("value").order_by("-id")[:MOST])
    in_force = next((edit.pk for edit in edits if edit.withdrawn_at is None), None)
    return [_edit(edit, redaction, is_in_force=edit.pk == in_force) for edit in edits]


def _edit(edit: FailureEdit, redaction: Redaction, *, is_in_force: bool) -> dict[str, Any]:
    return {
        "by": visible(edit.by),
        "at": moment(edit.at),
        "reason": visible(edit.reason),
        "diff": shown(edit.diff),
        "is_in_force": is_in_force,
        "withdrawn": f"{moment(edit.withdrawn_at)} by {visible(edit.withdrawn_by)}" if edit.withdrawn_at else "",
        "value": _value(edit, redaction) if is_in_force else None,
    }


def _value(edit: FailureEdit, redaction: Redaction) -> Part:
    head = Head.of(edit.value)
    document = parse(head)
    return present_value(head, document, redaction_seen(redaction, document))


def notes_of(record: FailedRecord) -> list[dict[str, str]]:
    """What people did to the record, and said about it."""
    return [
        {"at": moment(note.at), "by": visible(note.by), "what": note.get_kind_display(), "text": visible(note.text)}
        for note in record.notes.order_by("-id")[:MOST]
    ]
