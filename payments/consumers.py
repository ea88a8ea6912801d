"""What the payments topic becomes: payments, and in the same transaction the balances."""

from __future__ import annotations

from collections.abc import Container, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar

from ads.models import Advertiser
from consumers.api import BatchConsumer, RecentRows, register, reject, row_type
from payments.balances import add_to_balances, changes_of
from payments.events import PaymentEvent
from payments.models import Payment


@register("payments")
class PaymentConsumer(BatchConsumer[PaymentEvent, Payment]):
    """A transaction that comes again with other content is a `conflict`, never a silent duplicate: it is money."""

    topics: ClassVar[Sequence[str]] = ["payments.transactions"]
    event = PaymentEvent
    model = Payment
    unique: ClassVar[Sequence[str]] = ["transaction_id"]
    parents = (Advertiser,)
    row: ClassVar[type[Any]] = row_type(Payment)
    on_conflict = "compare"
    content: ClassVar[Sequence[str]] = [
        "advertiser_id",
        "kind",
        "amount",
        "currency",
        "occurred_at",
        "method",
        "reference",
    ]

    @cached_property
    def advertisers(self) -> RecentRows[Advertiser]:
        """Only whether they are there matters. Should one be gone, its foreign key refuses the payment all the same."""
        return RecentRows(Advertiser.objects.only("pk"), max_age=60.0)

    def prefetch(self, events: Sequence[PaymentEvent]) -> Container[Any]:
        return self.advertisers.in_bulk(event.advertiser_id for event in events)

    def process(self, event: PaymentEvent, advertisers: Container[Any]) -> Any:
        if event.advertiser_id not in advertisers:
            reject(
                "unknown_advertiser",
                waits_for=(Advertiser, event.advertiser_id),
                advertiser_id=event.advertiser_id,
            )
        return self.row(
            transaction_id=event.transaction_id,
            advertiser_id=event.advertiser_id,
            kind=event.kind,
            amount=Decimal(event.amount),
            currency=event.currency,
            occurred_at=event.occurred_at,
            method=event.method or "",
            reference=event.reference or "",
        )

    def on_written(self, rows: Sequence[Any]) -> None:
        add_to_balances(changes_of(rows))
