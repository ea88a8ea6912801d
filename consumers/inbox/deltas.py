"""What a transaction changes in the inbox's numbers, written by that very transaction."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from consumers.models import FailedRecord, FailureDelta

PENDING = FailedRecord.Status.PENDING

LikeFailures = tuple[str, str]
"""What makes a group: consumer and fingerprint."""


class Standing(NamedTuple):
    """Where a failed record is counted."""

    consumer: str
    fingerprint: str
    status: str

    @classmethod
    def of(cls, row: FailedRecord) -> Standing:
        return cls(row.consumer, row.fingerprint, row.status)


class Deltas:
    """Collects what happens to failed records; `write` is the last that a transaction does with it.

    It takes no lock on a group: rows are only added, and a roll-up takes them up later. What a record's standing was
    before must be known under a lock on the record, or the numbers would drift.
    """

    def __init__(self, now: datetime) -> None:
        """`now` is the moment that the records themselves are stamped with."""
        self._now = now
        self._by_group: dict[LikeFailures, FailureDelta] = {}

    def failed(self, row: FailedRecord, before: Standing | None) -> None:
        """A record failed, for the first time or again; `row`, which is saved, tells how it is stored from now on."""
        delta = self._of(row.consumer, row.fingerprint)
        delta.failed += 1
        if Standing.of(row) != before:
            delta.came += 1
            delta.pending += 1
            if before is not None:
                self.left(before)
        _describe(delta, row)

    def moved(self, before: Standing, status: str, number: int = 1) -> None:
        """So many records of a group changed their status."""
        self.left(before, number)
        self._add(before._replace(status=status), number)

    def left(self, before: Standing, number: int = 1) -> None:
        """So many records are not counted there any more: they fail otherwise now, or are deleted."""
        self._add(before, -number)

    def write(self, using: str) -> None:
        """Store what was collected; no statement if that is nothing."""
        rows = [delta for delta in self._by_group.values() if _tells(delta)]
        if rows:
            FailureDelta.objects.using(using).bulk_create(rows)

    def _add(self, where: Standing, number: int) -> None:
        delta = self._of(where.consumer, where.fingerprint)
        setattr(delta, where.status, getattr(delta, where.status) + number)

    def _of(self, consumer: str, fingerprint: str) -> FailureDelta:
        key = consumer, fingerprint
        if key not in self._by_group:
            self._by_group[key] = FailureDelta(consumer=consumer, fingerprint=fingerprint, at=self._now)
        return self._by_group[key]


def _tells(delta: FailureDelta) -> bool:
    return any((delta.failed, delta.pending, delta.resolved, delta.discarded))


def _describe(delta: FailureDelta, row: FailedRecord) -> None:
    """The last failure of each group stands for all of them."""
    delta.reason, delta.exception, delta.message = row.reason, row.exception, row.message
    delta.example_id = row.pk
    partitions = delta.places.setdefault(row.topic, [])
    if row.partition not in partitions:
        partitions.append(row.partition)
