"""The orders that stand in the database: what an operator has said, for whoever starts or runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from consumers.core.orders import Pauses
from consumers.core.records import TopicPartition
from consumers.models import Control

HEARD_WITHIN = timedelta(minutes=10)
"""What is carried out once is of no use to a worker that hears of it later."""


def in_force(using: str) -> QuerySet[Control]:
    """Orders that were neither taken back nor carried out, and have not run out by the database's clock."""
    return Control.objects.using(using).filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=Now()), ended_at__isnull=True
    )


def standing_pauses(using: str, group: str) -> Pauses:
    """What the group is not to read."""
    return pauses_of(in_force(using).filter(kind=Control.Kind.PAUSE, group__in=["", group]))


def pauses_of(orders: Collection[Control] | QuerySet[Control]) -> Pauses:
    """What these orders, pauses all of them, cover."""
    whole = frozenset(order.topic for order in orders if order.partition is None)
    single = frozenset(TopicPartition(order.topic, order.partition) for order in orders if order.partition is not None)
    return Pauses(whole, single)


def order_seek(
    using: str, group: str, topic: str, moves: Mapping[int, tuple[int | None, int]], *, by: str, reason: str
) -> Control:
    """Tell the group's workers that the ledger was moved; `moves` by partition: from and to which offset."""
    return Control.objects.using(using).create(
        kind=Control.Kind.SEEK,
        group=group,
        topic=topic,
        value={
            "partitions": sorted(moves),
            "moves": [
                {"partition": number, "from": moves[number][0], "to": moves[number][1]} for number in sorted(moves)
            ],
        },
        by=by,
        reason=reason,
        expires_at=Now() + HEARD_WITHIN,
    )
