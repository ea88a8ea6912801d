"""A domain that only tests know: orders, in a table with more rules than an idempotency key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec
from django.db import models

from consumers.api import BatchConsumer

TOPIC = "orders"


class Order(models.Model):
    """An order. The label belongs to no installed app, so that no migration is made of it; conftest makes the table."""

    number = models.CharField(max_length=20, unique=True)
    code = models.CharField(max_length=20, unique=True, null=True)  # noqa: DJ001  (several orders have none)
    quantity = models.IntegerField(default=1)
    note = models.CharField(max_length=20, default="")

    class Meta:
        app_label = "tests"
        constraints: ClassVar = [
            models.CheckConstraint(name="tests_order_quantity_positive", condition=models.Q(quantity__gt=0))
        ]

    def __str__(self) -> str:
        return self.number


class OrderEvent(msgspec.Struct, frozen=True):
    """An order on the wire; nothing is checked that the table would refuse."""

    number: str
    code: str | None = None
    quantity: int = 1
    note: str = ""


class OrderConsumer(BatchConsumer[OrderEvent, Order]):
    """The plainest consumer; tests subclass it."""

    name = "orders"
    topics: ClassVar[Sequence[str]] = [TOPIC]
    event = OrderEvent
    model = Order
    unique: ClassVar[Sequence[str]] = ["number"]

    def process(self, event: OrderEvent, context: object) -> Order | Iterable[Order] | None:
        return Order(number=event.number, code=event.code, quantity=event.quantity, note=event.note)


class ComparingConsumer(OrderConsumer):
    """Orders of one number must agree."""

    on_conflict = "compare"
