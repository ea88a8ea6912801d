"""How many failures came when: by group and hour, and by reason and five minutes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections
from django.db.models import Max

from consumers.inbox.deltas import LikeFailures
from consumers.models import FailureBucket, FailureDelta, FailureGroup, ReasonBucket

HOUR = timedelta(hours=1)
STEP = timedelta(minutes=5)
GROUPS_KEPT = timedelta(days=35)
REASONS_KEPT = timedelta(days=8)
RECENT = timedelta(days=7)
"""What a group's busiest hour is looked for in."""


def floor(at: datetime, step: timedelta) -> datetime:
    """The beginning of the step that a moment lies in, counted from midnight UTC."""
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // step * step


def add_to_buckets(
    deltas: Sequence[FailureDelta], groups: Mapping[LikeFailures, FailureGroup], now: datetime, using: str
) -> None:
    """Count what came; deltas older than what is kept count nothing."""
    by_hour: Counter[tuple[int, datetime]] = Counter()
    by_reason: Counter[tuple[str, str, datetime]] = Counter()
    for delta in (delta for delta in deltas if delta.came):
        if delta.at > now - GROUPS_KEPT:
            by_hour[groups[delta.consumer, delta.fingerprint].pk, floor(delta.at, HOUR)] += delta.came
        if delta.at > now - REASONS_KEPT:
            by_reason[delta.consumer, delta.reason, floor(delta.at, STEP)] += delta.came
    _add("consumers_failurebucket", {"group_id": "bigint", "hour": "timestamptz"}, by_hour, using)
    columns = {"consumer": "text", "reason": "text", "start": "timestamptz"}
    _add("consumers_reasonbucket", columns, by_reason, using)


def _add(table: str, key: Mapping[str, str], counts: Mapping[Any, int], using: str) -> None:
    if not counts:
        return
    names = ", ".join(key)
    arrays = ", ".join(f"%s::{kind}[]" for kind in key.values())
    statement = (  # our own tables and columns
        f"INSERT INTO {table} AS bucket ({names}, count) SELECT * FROM unnest({arrays}, %s::bigint[]) "  # noqa: S608
        f"ON CONFLICT ({names}) DO UPDATE SET count = bucket.count + EXCLUDED.count"
    )
    columns = [list(column) for column in zip(*counts, strict=True)]
    with connections[using].cursor() as cursor:
        cursor.execute(statement, [*columns, list(counts.values())])


def this_hour(
    groups: Iterable[FailureGroup], deltas: Sequence[FailureDelta], now: datetime, using: str
) -> dict[LikeFailures, int]:
    """How many have come within this hour in each of these groups, the deltas at hand included."""
    hour = floor(now, HOUR)
    wanted = {group.pk: (group.consumer, group.fingerprint) for group in groups if group.pk is not None}
    stored = FailureBucket.objects.using(using).filter(group__in=wanted, hour=hour)
    found: Counter[LikeFailures] = Counter({wanted[pk]: count for pk, count in stored.values_list("group", "count")})
    keys = set(wanted.values())
    for delta in deltas:
        if (key := (delta.consumer, delta.fingerprint)) in keys and delta.at >= hour:
            found[key] += delta.came
    return dict(found)


def busiest_hour(group: FailureGroup, now: datetime) -> int:
    """The most that came in an hour of the past week."""
    recent = group.buckets.filter(hour__gte=now - RECENT)
    return recent.aggregate(most=Max("count"))["most"] or 0


def forget_old_buckets(now: datetime, using: str) -> None:
    FailureBucket.objects.using(using).filter(hour__lt=now - GROUPS_KEPT - HOUR).delete()
    ReasonBucket.objects.using(using).filter(start__lt=now - REASONS_KEPT - STEP).delete()
