"""What nobody needs any more is deleted: failed records that ended long ago, groups and alerts of old."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from consumers.inbox.deltas import Deltas, Standing
from consumers.inbox.rollup import roll_up
from consumers.models import Alert, FailedRecord, FailureGroup, FailureNote
from consumers.settings import EngineSettings

BATCH = 1_000
"""Records deleted in one transaction."""
ALERTS_KEPT = timedelta(days=90)
"""Also what the inbox itself has noted in the groups' histories; what people did is kept as long as the group."""

Status = FailedRecord.Status


@dataclass
class Pruned:
    """How many were deleted, or would be."""

    resolved: int = 0
    discarded: int = 0
    groups: int = 0
    alerts: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class Retention:
    """What ended, or was last seen, before these moments is deleted; None keeps it for ever."""

    resolved: datetime | None
    discarded: datetime | None
    groups: datetime | None
    alerts: datetime

    @classmethod
    def of(cls, settings: EngineSettings, older_than: int | None = None) -> Retention:
        """As the settings say; `older_than` days takes the place of both numbers for failed records."""
        now = timezone.now()
        days = {"resolved": settings.keep_resolved_days, "discarded": settings.keep_discarded_days}
        if older_than is not None:
            days = dict.fromkeys(days, older_than)
        before = {name: now - timedelta(days=number) if number else None for name, number in days.items()}
        groups = now - timedelta(days=settings.keep_groups_days) if settings.keep_groups_days else None
        return cls(**before, groups=groups, alerts=now - ALERTS_KEPT)


def prune(retention: Retention, using: str, *, dry_run: bool = False) -> Pruned:
    """Delete in batches, each its own transaction: it may be stopped at any time, and holds nobody up.

    Pending records are never deleted. The notes, attempts and edits of a record go with it.
    """
    found = Pruned()
    for status, before in ((Status.RESOLVED, retention.resolved), (Status.DISCARDED, retention.discarded)):
        if before is not None:
            old = FailedRecord.objects.using(using).filter(status=status, resolved_at__lt=before)
            setattr(found, status, old.count() if dry_run else _delete(old))
    while not dry_run and roll_up(using):
        pass  # the groups learn of it
    forgotten = _forgotten(retention, using)
    found.groups = forgotten.count() if dry_run else _forget(forgotten)
    if not dry_run:
        own = FailureNote.objects.using(using).filter(by="", kind=FailureNote.Kind.STATUS)
        own.filter(at__lt=retention.alerts).delete()
    old_alerts = Alert.objects.using(using).filter(at__lt=retention.alerts)
    found.alerts = old_alerts.count() if dry_run else old_alerts.delete()[1].get(Alert._meta.label, 0)
    return found


def _delete(old: QuerySet[FailedRecord]) -> int:
    deleted = 0
    while number := _delete_batch(old):
        deleted += number
    return deleted


def _delete_batch(old: QuerySet[FailedRecord]) -> int:
    """Delete some, and take them out of their groups' numbers."""
    with transaction.atomic(using=old.db):
        oldest = old.order_by("resolved_at").select_for_update(skip_locked=True)
        rows = list(oldest.values_list("pk", "consumer", "fingerprint", "status")[:BATCH])
        deltas = Deltas(timezone.now())
        for standing, number in Counter(Standing(*rest) for _, *rest in rows).items():
            deltas.left(standing, number)
        deltas.write(old.db)
        # Only the keys are loaded, not the payloads.
        FailedRecord.objects.using(old.db).filter(pk__in=[pk for pk, *_ in rows]).only("pk").delete()
    return len(rows)


def _forgotten(retention: Retention, using: str) -> QuerySet[FailureGroup]:
    """Groups that are over and of which nothing is left."""
    empty: Mapping[str, int] = dict.fromkeys(Status.values, 0)
    over = FailureGroup.objects.using(using).filter(status=FailureGroup.Status.RESOLVED, **empty)
    return over.none() if retention.groups is None else over.filter(last_seen__lt=retention.groups)


def _forget(groups: QuerySet[FailureGroup]) -> int:
    """Delete groups that nobody is just counting something in: a roll-up that has one in hand keeps it."""
    with transaction.atomic(using=groups.db):
        pks = list(groups.order_by("pk").select_for_update(skip_locked=True).values_list("pk", flat=True))
        FailureGroup.objects.using(groups.db).filter(pk__in=pks).delete()
    return len(pks)
