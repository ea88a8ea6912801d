"""Ending failed records, any number in one statement, with the inbox's numbers kept exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import Count, F, Q, QuerySet
from django.db.models.sql import UpdateQuery
from django.utils import timezone

from consumers.inbox.deltas import PENDING, Deltas, LikeFailures, Standing
from consumers.models import FailedRecord


def end_pending(
    records: QuerySet[FailedRecord], status: FailedRecord.Status, *, by: str, **more: Any
) -> Counter[LikeFailures]:
    """Mark those of the records that are still pending as resolved or discarded by somebody.

    `more` are other columns to set, such as the `note`. Returns how many of each group were changed; their sum is the
    number of records. Records that another transaction has in hand are waited for.
    """
    now = timezone.now()
    deltas = Deltas(now)
    with transaction.atomic(using=records.db, savepoint=False):
        ended = _update(records, status=status, resolved_at=now, resolved_by=by, **more)
        for (consumer, fingerprint), number in ended.items():
            deltas.moved(Standing(consumer, fingerprint, PENDING), status, number)
        deltas.write(records.db)
    return ended


def ended_by_themselves(groups: Collection[LikeFailures], since: datetime, using: str) -> set[LikeFailures]:
    """Those of the groups in which all records that were resolved since then were due again by themselves: their time,
    or the row that they waited for, had come."""
    fingerprints = {fingerprint for _, fingerprint in groups}
    resolved = FailedRecord.objects.using(using).filter(
        status=FailedRecord.Status.RESOLVED, resolved_at__gte=since, fingerprint__in=fingerprints
    )
    by_group = (
        resolved.order_by()
        .values_list("consumer", "fingerprint")
        .annotate(number=Count("pk"), due=Count("pk", filter=Q(retry_after__lte=F("resolved_at"))))
    )
    return {(consumer, like) for consumer, like, *_ in by_group.filter(number=F("due"))}.intersection(groups)


def delete_record(record: FailedRecord) -> None:
    """Delete one record for good, and take it out of its group's numbers."""
    using = record._state.db or DEFAULT_DB_ALIAS
    with transaction.atomic(using=using):
        stored = FailedRecord.objects.using(using).select_for_update()
        deltas = Deltas(timezone.now())
        deltas.left(Standing(*stored.values_list("consumer", "fingerprint", "status").get(pk=record.pk)))
        deltas.write(using)
        record.delete()


def _update(records: QuerySet[FailedRecord], **values: Any) -> Counter[LikeFailures]:
    """UPDATE the pending ones; the groups of the rows that it really changed, which a query before could not know."""
    pending = records.filter(status=PENDING).order_by()
    query: UpdateQuery = pending.query.chain(UpdateQuery)  # type: ignore[assignment]  # chain() makes what it is given
    query.add_update_values(values)
    query.clear_select_clause()
    try:
        statement, params = query.get_compiler(pending.db).as_sql()
    except EmptyResultSet:
        return Counter()
    counted = (
        f"WITH ended AS ({statement} RETURNING consumer, fingerprint) "  # noqa: S608 - Django's own statement
        "SELECT consumer, fingerprint, count(*) FROM ended GROUP BY consumer, fingerprint"
    )
    with connections[pending.db].cursor() as cursor:
        cursor.execute(counted, params)
        return Counter({(consumer, fingerprint): number for consumer, fingerprint, number in cursor.fetchall()})
