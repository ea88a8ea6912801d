"""Which failed records a run is about, frozen when it is started: conditions that mean the same tomorrow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Max, QuerySet

from consumers.models import RETRIABLE, FailedRecord, RetryRun

LOOKUPS = frozenset(
    {
        "pk__in",
        "pk__gt",
        "consumer",
        "topic",
        "partition",
        "offset",
        "reason",
        "fingerprint",
        "last_failed_at__gte",
        "message__icontains",
        "attempt_set__run",
        "attempt_set__succeeded",
    }
)
"""Conditions that may be frozen, as Django names them."""


class BadSelection(ValueError):
    """The conditions can't be frozen; the message says which, and why."""


@dataclass(frozen=True)
class FrozenSelection:
    """Pending records that meet all `lookups` and are stored already: no id is above `upper_id`."""

    lookups: Mapping[str, Any]
    upper_id: int
    shown_as: str
    """The conditions as people read them."""

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.lookups) - LOOKUPS):
            raise BadSelection(f"failed records can't be chosen by {', '.join(unknown)}")

    @classmethod
    def of(cls, run: RetryRun) -> FrozenSelection:
        return cls(run.selection, run.upper_id, run.shown_as)

    def pending(self, using: str) -> QuerySet[FailedRecord]:
        """The records that are still pending; not those of which only the head was kept."""
        return FailedRecord.objects.using(using).filter(RETRIABLE, pk__lte=self.upper_id, **self.lookups)


def freeze(lookups: Mapping[str, Any], shown_as: str, using: str) -> FrozenSelection:
    """The selection as of now.

    Raises:
        BadSelection: a condition is not among those that can be frozen.
    """
    highest = FailedRecord.objects.using(using).aggregate(highest=Max("pk"))["highest"] or 0
    return FrozenSelection(lookups, highest, shown_as)
