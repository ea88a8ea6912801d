"""Retries that know why: what an error means, what it costs at most, and when the record is due again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from consumers import registry
from consumers.api import FatalError, RetryPolicy, TransientError, register, reject
from consumers.core.policies import Backoff
from consumers.models import FailedRecord
from consumers.reprocess import Result, Selection, reprocess
from tests.integration.engine import AT_ONCE, consume, counts, failures, ledger
from tests.makers import order
from tests.orders import Order, OrderConsumer, OrderEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def registered() -> Iterator[Any]:
    """Registers a consumer for the length of a test."""
    yield register("orders")
    registry.unregister("orders")


def row() -> FailedRecord:
    return FailedRecord.objects.get()


def due_in() -> float | None:
    """Seconds after its last failure at which the record is due."""
    failed = row()
    return None if failed.retry_after is None else (failed.retry_after - failed.last_failed_at).total_seconds()


def test_retries_of_a_chunk_end_with_its_budget() -> None:
    class Down(OrderConsumer):
        retry = RetryPolicy(attempts=100, backoff=AT_ONCE, budget=0)
        calls = 0

        def process(self, event: OrderEvent, context: object) -> Order:
            Down.calls += 1
            raise TransientError("503")

    assert counts(consume(Down, *(order() for _ in range(50)))) == {"failed": 50}
    assert Down.calls == 50
    assert set(failures("reason")) == {"retries_exhausted"}


def test_a_pause_longer_than_the_budget_is_not_begun() -> None:
    class Down(OrderConsumer):
        retry = RetryPolicy(attempts=100, backoff=Backoff(first=3600, cap=3600), budget=60)

        def process(self, event: OrderEvent, context: object) -> Order:
            raise TransientError("503")

    assert counts(consume(Down, order())) == {"failed": 1}


def test_a_service_that_says_when_to_come_back_is_heard() -> None:
    class Limited(OrderConsumer):
        retry = RetryPolicy(attempts=3, backoff=AT_ONCE, budget=60)

        def process(self, event: OrderEvent, context: object) -> Order:
            raise TransientError("429", retry_after=900)

    assert counts(consume(Limited, order())) == {"failed": 1}
    assert due_in() == 900


def test_a_record_whose_retries_are_used_up_is_due_again_later_and_later() -> None:
    class Down(OrderConsumer):
        retry = RetryPolicy(attempts=2, backoff=AT_ONCE, later=60)

        def process(self, event: OrderEvent, context: object) -> Order:
            raise TransientError("503")

    register("orders")(Down)
    try:
        consume(Down, order())
        delays = [due_in()]
        for _ in range(8):
            FailedRecord.objects.update(retry_after=timezone.now())
            reprocess(Selection(due_at=timezone.now()), by="test")
            delays.append(due_in())
    finally:
        registry.unregister("orders")
    assert delays == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_record_that_is_not_due_yet_is_left_alone(registered: Any) -> None:
    class Later(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> Order:
            reject("not_yet", retry_after=60)

    registered(Later)
    consume(Later, order())
    assert due_in() == 60
    assert reprocess(Selection(due_at=timezone.now()), by="test") == Result()
    late = timezone.now() + timedelta(seconds=61)
    assert reprocess(Selection(due_at=late), by="test").attempted == 1


def test_a_refusal_without_a_time_waits_for_an_operator() -> None:
    class Refuses(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> Order:
            reject("too_old")

    consume(Refuses, order())
    assert (due_in(), row().waits_for) == (None, "")


def test_a_record_that_fails_in_the_same_way_too_often_is_not_due_again(
    registered: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Never(OrderConsumer):
        retry = RetryPolicy(same_failures=3)

        def process(self, event: OrderEvent, context: object) -> Order:
            reject("not_yet", retry_after=0.001)

    registered(Never)
    consume(Never, order())
    for _ in range(5):
        reprocess(Selection(due_at=timezone.now() + timedelta(days=1)), by="test")
    assert (row().attempts, row().repeats, row().status, due_in()) == (3, 3, "pending", None)
    assert "loop guard: orders[0]@0: not_yet, 3 times in a row; it is left to an operator" in caplog.text


def test_failing_in_another_way_begins_the_count_anew(registered: Any) -> None:
    class Changing(OrderConsumer):
        retry = RetryPolicy(same_failures=3)
        reasons = iter(["a", "a", "b", "b", "a"])

        def process(self, event: OrderEvent, context: object) -> Order:
            reject(next(Changing.reasons), retry_after=0.001)

    registered(Changing)
    consume(Changing, order())
    repeats = [row().repeats]
    for _ in range(4):
        reprocess(Selection(), by="test")
        repeats.append(row().repeats)
    assert repeats == [1, 2, 1, 2, 1]


def test_an_error_that_the_policy_calls_fatal_stops_the_consumer_with_nothing_settled() -> None:
    class Rejected(Exception):
        pass

    class Strict(OrderConsumer):
        retry = RetryPolicy(fatal=(Rejected,))

        def process(self, event: OrderEvent, context: object) -> Order:
            raise Rejected("credentials expired")

    with pytest.raises(FatalError, match=r"orders\[0\]@0: process\(\) met .* fatal: Rejected\('credentials expired'\)"):
        consume(Strict, order())
    assert ledger() == {}
    assert not FailedRecord.objects.exists()
