"""What the payments topic becomes: payments, and in the same transaction the balances."""

from __future__ import annotations

from collections.abc import Sequence, Set
from decimal import Decimal
from typing import ClassVar

from ads.models import Advertiser
from consumers.api import BatchConsumer, register, reject
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

    def prefetch(self, events: Sequence[PaymentEvent]) -> Set[int]:
        wanted = {event.advertiser_id for event in events}
        return set(Advertiser.objects.filter(pk__in=wanted).values_list("pk", flat=True))

    def process(self, event: PaymentEvent, advertisers: Set[int]) -> Payment:
        if event.advertiser_id not in advertisers:
            reject(
                "unknown_advertiser",
                waits_for=(Advertiser, event.advertiser_id),
                advertiser_id=event.advertiser_id,
            )
        return Payment(
            transaction_id=event.transaction_id,
            advertiser_id=event.advertiser_id,
            kind=event.kind,
            amount=Decimal(event.amount),
            currency=event.currency,
            occurred_at=event.occurred_at,
            method=event.method or "",
            reference=event.reference or "",
        )

    def on_written(self, rows: Sequence[Payment]) -> None:
        add_to_balances(changes_of(rows))
