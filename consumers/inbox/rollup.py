"""The roll-up: takes the deltas that transactions have left and makes groups, trends and alerts of them.

Anybody may call it at any time; one at a time does the work, which an advisory lock of the transaction sees to, and the
others return at once. So it can't deadlock with itself, and it waits for nobody but an operator's click on one group.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from django.db import connections, transaction
from django.utils import timezone

from consumers.inbox.deltas import LikeFailures
from consumers.inbox.ending import ended_by_themselves
from consumers.inbox.groups import Change, Status, apply, reopen
from consumers.inbox.news import Transition, tell
from consumers.inbox.trends import add_to_buckets, forget_old_buckets, this_hour
from consumers.models import FailureDelta, FailureGroup, FailureNote

MOST = 5_000
"""Deltas taken up by one call: about a second's work at the most."""

_LOCK = 0x1B0C5  # any number that no other advisory lock of the database has
_CHANGED = [
    field.name for field in FailureGroup._meta.concrete_fields if field.name not in ("id", "consumer", "fingerprint")
]


def roll_up(using: str, most: int = MOST) -> int:
    """Take up the oldest deltas, `most` of them at the most; returns how many.

    0 also where another process is at it. What it does is one transaction: numbers are never counted twice or lost.
    """
    if not FailureDelta.objects.using(using).exists() and not _due(using):
        return 0
    with transaction.atomic(using=using):
        if not _locked(using):
            return 0
        deltas = list(FailureDelta.objects.using(using).order_by("id")[:most])
        now = timezone.now()
        transitions = _take_up(deltas, now, using)
        _wake(now, using)
        FailureDelta.objects.using(using).filter(pk__in=[delta.pk for delta in deltas]).delete()
        forget_old_buckets(now, using)
        tell(transitions, now, using)
    return len(deltas)


def _locked(using: str) -> bool:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _take_up(deltas: Sequence[FailureDelta], now: datetime, using: str) -> list[Transition]:
    if not deltas:
        return []
    changes = _by_group(deltas)
    groups = _groups(changes, using)
    _find_what_went_by_itself(changes, groups, using)
    hourly = this_hour((group for group in groups.values() if group.muted_rate is not None), deltas, now, using)
    transitions = []
    for key, change in changes.items():
        is_new = groups[key].pk is None
        status = apply(groups[key], change, now, hourly.get(key, 0))
        if is_new or status:
            transitions.append(Transition(groups[key], is_new, status, change.last_failed_at))
    _save(groups.values(), using)
    add_to_buckets(deltas, groups, now, using)
    return transitions


def _by_group(deltas: Iterable[FailureDelta]) -> dict[LikeFailures, Change]:
    changes: dict[LikeFailures, Change] = {}
    for delta in deltas:
        changes.setdefault((delta.consumer, delta.fingerprint), Change(delta.at)).add(delta)
    return changes


def _groups(changes: Mapping[LikeFailures, Change], using: str) -> dict[LikeFailures, FailureGroup]:
    """The groups, locked; those that are new not yet saved."""
    fingerprints = {fingerprint for _, fingerprint in changes}
    stored = FailureGroup.objects.using(using).filter(fingerprint__in=fingerprints).order_by("id")
    found = {(group.consumer, group.fingerprint): group for group in stored.select_for_update(no_key=True)}
    return {
        (consumer, fingerprint): found.get((consumer, fingerprint))
        or FailureGroup(
            consumer=consumer, fingerprint=fingerprint, first_seen=change.first_at, last_seen=change.first_at
        )
        for (consumer, fingerprint), change in changes.items()
    }


def _find_what_went_by_itself(
    changes: Mapping[LikeFailures, Change], groups: Mapping[LikeFailures, FailureGroup], using: str
) -> None:
    """Of the groups in which nothing will be pending any more."""
    over = {
        key: change
        for key, change in changes.items()
        if change.resolved > 0 and not change.discarded and not groups[key].pending + change.pending
    }
    if over:
        since = min(change.first_at for change in over.values())
        for key in ended_by_themselves(over, since, using):
            over[key].by_itself = True


def _save(groups: Collection[FailureGroup], using: str) -> None:
    """All in two statements, however many there are."""
    rows = FailureGroup.objects.using(using)
    known = [group for group in groups if group.pk is not None]
    new = [group for group in groups if group.pk is None]
    rows.bulk_create(known, update_conflicts=True, unique_fields=["id"], update_fields=_CHANGED, batch_size=1_000)
    rows.bulk_create(new, batch_size=1_000)


# ---- archived for a time --------------------------------------------------------------------------------------------


def _due(using: str) -> bool:
    return FailureGroup.objects.using(using).filter(**_over(timezone.now())).exists()


def _over(now: datetime) -> dict[str, object]:
    return {"status": Status.ARCHIVED, "muted_until__lte": now}


def _wake(now: datetime, using: str) -> None:
    """Groups whose time in the archive is over are looked at again."""
    groups = list(FailureGroup.objects.using(using).filter(**_over(now)).select_for_update(no_key=True))
    for group in groups:
        reopen(group)
    _save(groups, using)
    FailureNote.objects.using(using).bulk_create(
        FailureNote(group=group, kind=FailureNote.Kind.STATUS, text="Back from the archive: its time is over.")
        for group in groups
    )
