"""Failures stored as consumers store them, for the tests of the inbox."""

from __future__ import annotations

import itertools
from typing import Any

from django.db import transaction

from consumers.core.outcomes import Failure
from consumers.core.records import Record, TopicPartition
from consumers.inbox.rollup import roll_up
from consumers.models import FailedRecord, FailureGroup
from consumers.pipeline.keep import store_failures

CONSUMER = "inbox-test"

_offsets = itertools.count(1)


def fail(number: int = 1, *, kind: int = 1, topic: str = "orders", partition: int = 0, **fields: Any) -> None:
    """Store so many failures of a kind, without a roll-up."""
    given: dict[str, Any] = {"reason": "bad_name", "message": "name 7 is bad", "fingerprint": f"{kind:016x}"} | fields
    value = given.pop("value", b'{"name": "bad"}')
    source = TopicPartition(topic, partition)
    failures = [Failure(record=Record(source, next(_offsets), value), **given) for _ in range(number)]
    with transaction.atomic():
        store_failures(failures, consumer=CONSUMER, group=CONSUMER, using="default")


def taken_up() -> None:
    """Roll up all there is."""
    while roll_up("default"):
        pass


def group(kind: int = 1) -> FailureGroup:
    """The group of that kind, after a roll-up."""
    taken_up()
    return FailureGroup.objects.get(fingerprint=f"{kind:016x}")


def records(kind: int = 1) -> Any:
    return FailedRecord.objects.filter(fingerprint=f"{kind:016x}")
