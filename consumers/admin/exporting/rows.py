"""Failed records as plain data for a file, a few at a time, with what consumers redact masked or left out."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
from django.db.models import QuerySet
from django.db.models.functions import Length, Substr

from consumers.admin.payload import DECODED, Head, parse, redaction_seen
from consumers.admin.redaction import Redaction, redaction_of
from consumers.headers import unpack_headers
from consumers.models import FailedRecord

PAGE = 500
ROOM = 8 * 1024 * 1024
"""Records, and bytes of their values, that are in memory at once."""

PLAIN = ("id", "consumer", "group", "topic", "partition", "offset", "timestamp", "status", "reason", "exception")
TEXTS = ("message", "traceback")
AFTER = (
    *("fingerprint", "attempts", "first_failed_at", "last_failed_at"),
    *("resolved_at", "resolved_by", "rows_written", "note"),
)
COLUMNS = (*PLAIN, *TEXTS, *AFTER, "key", "key_encoding", "headers", "value_bytes", "value_encoding", "value")
"""An encoding is `text`, `base64`, `null`, `too_large`, or `withheld`: it can't be masked, and something in it must."""


def export_rows(records: QuerySet[FailedRecord], up_to: int) -> Iterator[dict[str, Any]]:
    """The records by id, none above `up_to`, each as a dictionary of `COLUMNS`. Bounded in memory, in short queries."""
    from consumers.reprocess import next_ids  # loads the whole engine

    rows = records.order_by().filter(pk__lte=up_to)
    last = 0
    redactions: dict[str, Redaction] = {}
    while ids := next_ids(rows.filter(pk__gt=last), PAGE, ROOM):
        for stored in _stored(ids):
            name = stored["consumer"]
            if name not in redactions:
                redactions[name] = redaction_of(name)
            yield _row(stored, redactions[name])
        last = ids[-1]


def _stored(ids: list[int]) -> Iterable[Mapping[str, Any]]:
    rows = FailedRecord.objects.filter(pk__in=ids).order_by("pk")
    found: Iterable[Mapping[str, Any]] = rows.values(
        *(*PLAIN, *TEXTS, *AFTER, "key", "headers"), head=Substr("value", 1, DECODED), size=Length("value")
    )
    return found


def _row(stored: Mapping[str, Any], asked: Redaction) -> dict[str, Any]:
    value = Head.of(stored["head"], stored["size"])
    document = parse(value) if asked.applies else None
    redaction = redaction_seen(asked, document)
    row = {name: _plain(stored[name]) for name in (*PLAIN, *AFTER)}
    row |= {name: redaction.mask(stored[name]) for name in TEXTS}
    row["key"], row["key_encoding"] = _encoded(Head.of(stored["key"]).data, redaction)
    row["headers"] = _headers(bytes(stored["headers"] or b""), redaction)
    row["value_bytes"] = value.size
    if not value.is_whole and value.data is not None:
        row["value"], row["value_encoding"] = None, "too_large"
    elif redaction.applies and document is not None and not redaction.unsure:
        row["value"], row["value_encoding"] = document.compact(redaction.masked_fields), "text"
    else:
        row["value"], row["value_encoding"] = _encoded(value.data, redaction)
    return {name: row[name] for name in COLUMNS}


def _encoded(data: bytes | None, redaction: Redaction) -> tuple[str | None, str]:
    if data is None:
        return None, "null"
    if redaction.unsure and data:
        return None, "withheld"
    try:
        return redaction.mask(data.decode("utf-8")), "text"
    except UnicodeDecodeError:
        return (None, "withheld") if redaction.applies else (base64.b64encode(data).decode(), "base64")


def _headers(packed: bytes, redaction: Redaction) -> list[dict[str, str | None]]:
    try:
        headers = unpack_headers(packed)
    except (ValueError, msgspec.MsgspecError):
        return []
    encoded = ((name, _encoded(value, redaction)) for name, value in headers)
    return [{"name": name, "value": value, "encoding": encoding} for name, (value, encoding) in encoded]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
