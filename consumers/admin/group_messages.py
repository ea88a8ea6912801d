"""The messages of groups, as everybody may read them.

Failures are stored with what their consumer redacts masked. Those that were stored before it asked for that are not,
and a group's message is that of its example, without what differs from failure to failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db.models.functions import Length, Substr

from consumers.admin.payload import Head, parse, redaction_seen
from consumers.admin.redaction import Redaction, redaction_of
from consumers.admin.visible import visible
from consumers.core.fingerprint import normalise
from consumers.models import FailedRecord, FailureGroup
from consumers.pipeline.mask import mask, worth_masking

LOOKED_AT = 256 * 1024
"""Bytes of an example's value up to which it is searched for what to mask: a page has fifty of them."""


def messages_of(groups: Sequence[FailureGroup]) -> dict[int, str]:
    """By group: its message, without what its example has in the fields to redact, and fit to be printed. One query;
    none where no consumer redacts."""
    asked = {name: redaction_of(name) for name in {group.consumer for group in groups}}
    values = _values(group.example_id for group in groups if group.example_id and asked[group.consumer].fields)
    return {
        group.pk: visible(_masked(group.message, asked[group.consumer], values.get(group.example_id or 0)))
        for group in groups
    }


def _values(examples: Iterable[int]) -> dict[int, Head]:
    records = FailedRecord.objects.filter(pk__in=list(examples)).order_by()
    found = records.values_list("pk", Substr("value", 1, LOOKED_AT), Length("value"))
    return {pk: Head.of(value, size) for pk, value, size in found}


def _masked(message: str, redaction: Redaction, example: Head | None) -> str:
    secrets = redaction_seen(redaction, parse(example) if example else None).secrets or ()
    return mask(message, worth_masking([*secrets, *map(normalise, secrets)]))
