"""A dry run of failed records tells what its consumer said, but not what the consumer redacts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from consumers.api import BatchConsumer
from consumers.inbox.trial import try_out
from tests.integration.admin_records import failed
from tests.orders import Order

pytestmark = pytest.mark.django_db


class Guest(msgspec.Struct):
    key: str
    token: str


class Guests(BatchConsumer[Guest, Order]):
    name = "admin-test"
    topics = ("orders",)
    event = Guest
    model = Order
    unique = ("number",)
    redact = ("token",)

    def prefetch(self, events: Sequence[Guest]) -> None:
        raise ZeroDivisionError(f"no price for {events[0].key} with {events[0].token}")

    def process(self, event: Guest, context: None) -> Order:
        return Order(number=event.key)


def test_an_error_of_the_consumers_own_is_told_without_what_it_redacts(
    registered: Callable[[type], type],
) -> None:
    registered(Guests)
    record = failed(value=b'{"key": "k1", "token": "s3cret-7"}')
    assert try_out([record.pk], "bob").error == "the consumer raised ZeroDivisionError: no price for k1 with [redacted]"
