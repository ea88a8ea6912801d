"""What a failed record's page prints, fetched in bounded pieces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from django.db.models.functions import Left, Length, Substr

from consumers import registry
from consumers.admin.history import attempts_of, edits_of, notes_of
from consumers.admin.jsontext import Json, Path
from consumers.admin.offending import Offence, offence_in
from consumers.admin.payload import (
    DECODED,
    SHOWN,
    Head,
    Part,
    parse,
    present_headers,
    present_key,
    present_text,
    present_value,
    redaction_seen,
)
from consumers.admin.redaction import Redaction, redaction_of
from consumers.admin.traces import lines_of
from consumers.admin.visible import moment, visible
from consumers.core.errors import Misconfigured
from consumers.headers import unpack_headers
from consumers.models import FailedRecord


class _Contents(NamedTuple):
    """What is stored of a record, its value read, and what is to be hidden of it."""

    stored: Mapping[str, Any]
    value: Head
    document: Json | None
    redaction: Redaction


def describe(record: FailedRecord, *, reveal: bool = False) -> dict[str, Any]:
    """The template's variables, each fit to be printed. `reveal` shows also what the consumer redacts."""
    contents = _contents(record, reveal=reveal)
    stored, redaction = contents.stored, contents.redaction
    headers, remark = _headers(stored, redaction)
    return {
        **_in_brief(record, contents),
        "key": present_key(Head.of(stored["key_head"], stored["key_size"]), redaction),
        "headers": headers,
        "headers_remark": remark,
        "reason": visible(record.reason),
        "facts": _facts(record),
        "history": _history(record),
        "exception": visible(record.exception),
        "traceback": lines_of(present_text(stored["traceback_head"], redaction)),
        "redacted": sorted(redaction.fields),
        "hides": redaction.asked_for,
        "neighbours": _neighbours(record),
        "attempts": attempts_of(record, redaction),
        "edits": edits_of(record, redaction),
        "notes": notes_of(record),
    }


def describe_in_brief(record: FailedRecord) -> dict[str, Any]:
    """Those of the variables that tell what failed, without what the consumer redacts."""
    return _in_brief(record, _contents(record, reveal=False))


def _in_brief(record: FailedRecord, contents: _Contents) -> dict[str, Any]:
    stored, value, document, redaction = contents
    offence = offence_in(stored["message_head"], wire_names(record.consumer))
    return {
        "value": present_value(value, document, redaction, _marked(offence)),
        "offence": _remark(offence),
        "message": present_text(stored["message_head"], redaction),
    }


def _contents(record: FailedRecord, *, reveal: bool) -> _Contents:
    stored = _stored(record)
    value = Head.of(stored["value_head"], stored["value_size"])
    document = parse(value)
    return _Contents(stored, value, document, redaction_seen(redaction_of(record.consumer, lifted=reveal), document))


def wire_names(consumer: str) -> dict[str, str]:
    """The names on the wire of a consumer's event fields, by those in Python; empty for one that is not registered."""
    try:
        event = registry.get(consumer).event
    except (Misconfigured, AttributeError):
        return {}
    return dict(zip(event.__struct_fields__, event.__struct_encode_fields__, strict=True))


def _marked(offence: Offence | None) -> Path | None:
    """What to mark: of something that is missing, where it should be."""
    if offence is None:
        return None
    return offence.path[:-1] if offence.is_missing else offence.path


def _remark(offence: Offence | None) -> str:
    if offence is None:
        return ""
    return visible(f"missing: {offence.text}" if offence.is_missing else f"the error is about {offence.text}")


def _facts(record: FailedRecord) -> list[tuple[str, str]]:
    return [
        ("Consumer", visible(record.consumer)),
        ("Group", visible(record.group)),
        ("Topic", visible(record.topic)),
        ("Partition", str(record.partition)),
        ("Offset", str(record.offset)),
        ("Record's own time", moment(record.timestamp)),
    ]


def _history(record: FailedRecord) -> list[tuple[str, str]]:
    failures = [
        ("Attempts", str(record.attempts)),
        ("First failed", moment(record.first_failed_at)),
        ("Last failed", moment(record.last_failed_at)),
    ]
    if record.repeats > 1:
        failures.append(("In the same way", f"{record.repeats} times in a row"))
    if record.status == FailedRecord.Status.PENDING:
        return [*failures, *_what_next(record)]
    ended = record.get_status_display().capitalize()
    note = [("Note", visible(record.note))] if record.note else []
    return [*failures, (ended, moment(record.resolved_at)), (f"{ended} by", visible(record.resolved_by) or "-"), *note]


def _what_next(record: FailedRecord) -> list[tuple[str, str]]:
    """What makes a pending record due again without an operator."""
    due = [("Due again", moment(record.retry_after))] if record.retry_after else []
    return [*due, ("Waits for", visible(record.waits_for))] if record.waits_for else due


def _stored(record: FailedRecord) -> Mapping[str, Any]:
    """The large columns' beginnings and sizes: 20 MB stay in the database."""
    query = FailedRecord.objects.filter(pk=record.pk).values(
        value_head=Substr("value", 1, DECODED),
        value_size=Length("value"),
        key_head=Substr("key", 1, SHOWN),
        key_size=Length("key"),
        headers_head=Substr("headers", 1, DECODED),
        headers_size=Length("headers"),
        message_head=Left("message", SHOWN + 1),
        traceback_head=Left("traceback", SHOWN + 1),
    )
    return query.get()


def _headers(stored: Mapping[str, Any], redaction: Redaction) -> tuple[list[tuple[str, Part]], str]:
    packed = bytes(stored["headers_head"] or b"")
    if stored["headers_size"] > len(packed):
        return [], f"{stored['headers_size']:,} bytes of headers, too many to show"
    try:
        return present_headers(unpack_headers(packed), redaction), ""
    except (ValueError, msgspec.MsgspecError):
        return [], f"{len(packed):,} bytes that can't be read as headers"


def _neighbours(record: FailedRecord) -> dict[str, FailedRecord | None]:
    """The failed records before and after it in its partition, whatever their status."""
    partition = FailedRecord.objects.filter(group=record.group, topic=record.topic, partition=record.partition)
    light = partition.only("offset", "topic", "partition", "reason")
    return {
        "previous": light.filter(offset__lt=record.offset).order_by("-offset").first(),
        "next": light.filter(offset__gt=record.offset).order_by("offset").first(),
    }
