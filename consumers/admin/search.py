"""The search box above the failed records. What it finds, it finds by an index or within a bound."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import QuerySet

from consumers.admin.distinct import leading_values
from consumers.models import FailedRecord

NEWEST = 20_000
"""Records whose messages are searched; no index serves a search inside of texts."""

HELP = (
    "Exactly: an offset, a position as topic[partition]@offset, a fingerprint, a reason or a topic. "
    f"Anything else is looked for in the messages of the newest {NEWEST:,} records."
)

_POSITION = re.compile(r"(?P<topic>[\w.-]+)\[(?P<partition>\d{1,9})\](?:@(?P<offset>\d{1,18}))?", re.ASCII)
_OFFSET = re.compile(r"\d{1,15}", re.ASCII)
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")


def search(records: QuerySet[FailedRecord], term: str) -> QuerySet[FailedRecord]:
    """The records that the term names, by the first of these that fits: position, offset, fingerprint, reason, topic,
    a part of the message. One meaning at a time, because no index serves an OR of them all."""
    return records.filter(**meaning(term))


def meaning(term: str) -> dict[str, Any]:
    """What is searched for, as conditions of a filter."""
    term = term.strip()
    if position := _POSITION.fullmatch(term):
        topic, *numbers = position.groups()
        return {"topic": topic} | {
            name: int(each) for name, each in zip(("partition", "offset"), numbers, strict=True) if each
        }
    if _OFFSET.fullmatch(term):
        return {"offset": int(term)}
    if _FINGERPRINT.fullmatch(term):
        return {"fingerprint": term}
    if FailedRecord.objects.filter(reason=term).exists():
        return {"reason": term}
    if any(topic == term for _, topic in leading_values(FailedRecord, "group", "topic")):
        return {"topic": term}
    newest = FailedRecord.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    return {"pk__gt": newest - NEWEST, "message__icontains": term}
