"""What becomes of a record: each row of the failure taxonomy that needs no outage."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, ClassVar

import msgspec
import pytest
from django.db import connection

from ads.consumers import ClickConsumer
from ads.models import Click
from consumers.api import BatchPolicy, FatalError, RecordError, RetryPolicy, TransientError, reject
from consumers.concurrency import Timeout, sleep
from consumers.core.errors import Misconfigured, Stuck
from consumers.database import forbid_queries_in_workers
from consumers.models import FailedRecord
from consumers.reprocess import Selection
from payments.consumers import PaymentConsumer
from payments.models import Payment
from tests.integration.engine import AT_ONCE, QUICK_RETRY, consume, counts, failures, ledger, log_of, run_consumer
from tests.makers import click, order, payment
from tests.orders import ComparingConsumer, Order, OrderConsumer, OrderEvent

pytestmark = pytest.mark.django_db


def test_a_good_record_is_written() -> None:
    assert counts(consume(OrderConsumer, order("a", quantity=3))) == {"written": 1}
    assert Order.objects.values_list("number", "quantity").get() == ("a", 3)
    assert ledger() == {"next_offset": 1, "received": 1, "written": 1}


def test_a_click_takes_advertiser_and_cost_from_its_campaign(campaign: Any) -> None:
    assert counts(consume(ClickConsumer, click(campaign))) == {"written": 1}
    row = Click.objects.get()
    assert (row.advertiser_id, str(row.cost), row.billable) == (campaign.advertiser_id, "0.2500", True)


def test_the_same_key_twice_in_a_chunk_is_a_duplicate() -> None:
    assert counts(consume(OrderConsumer, order("a", note="first"), order("a", note="second"))) == {
        "written": 1,
        "duplicates": 1,
    }
    assert Order.objects.get().note == "first"


def test_a_key_that_is_in_the_table_is_a_duplicate() -> None:
    Order.objects.create(number="a", note="before")
    assert counts(consume(OrderConsumer, order("a"), order("b"))) == {"written": 1, "duplicates": 1}
    assert Order.objects.get(number="a").note == "before"


def test_the_same_key_with_the_same_content_is_a_duplicate_where_content_is_compared() -> None:
    Order.objects.create(number="a", note="x")
    result = consume(ComparingConsumer, order("a", note="x"), order("b", note="y"), order("b", note="y"))
    assert counts(result) == {"written": 1, "duplicates": 2}


def test_the_same_key_with_other_content_in_the_table_is_a_conflict() -> None:
    Order.objects.create(number="a", note="before")
    assert counts(consume(ComparingConsumer, order("a", note="after"), order("b"))) == {"written": 1, "failed": 1}
    [(reason, message)] = failures("reason", "message")
    assert (reason, message) == ("conflict", "the key a exists with other note")


def test_the_same_key_with_other_content_in_one_chunk_is_a_conflict() -> None:
    assert counts(consume(ComparingConsumer, order("a", note="1"), order("a", note="2"))) == {"written": 1, "failed": 1}
    assert failures("offset", "reason") == [(1, "conflict")]


def test_a_consumer_that_is_to_compare_but_has_nothing_to_compare_is_refused() -> None:
    class Named(msgspec.Struct, frozen=True):
        number: str

    class Blind(ComparingConsumer):
        event: ClassVar[type[Any]] = Named

    with pytest.raises(Misconfigured, match="orders: on_conflict is 'compare', but event and model share no field"):
        consume(Blind, order())


def test_a_payment_that_comes_again_with_another_amount_is_a_conflict(advertiser: Any) -> None:
    again = {"transaction_id": "t1", "amount": "7.00"}
    result = consume(PaymentConsumer, payment(advertiser, **again), payment(advertiser, transaction_id="t1"))
    assert counts(result) == {"written": 1, "failed": 1}
    assert failures("reason") == ["conflict"]
    assert str(Payment.objects.get().amount) == "7.0000"


def test_a_payment_that_is_written_otherwise_but_means_the_same_is_a_duplicate(advertiser: Any) -> None:
    values = [
        payment(advertiser, transaction_id="t1", amount="7.5", occurred_at="2026-03-01T12:00:00Z"),
        payment(advertiser, transaction_id="t1", amount="7.5000", occurred_at="2026-03-01T13:00:00+01:00", method=None),
    ]
    assert counts(consume(PaymentConsumer, *values)) == {"written": 1, "duplicates": 1}
    assert counts(consume(PaymentConsumer, *values, values[1])) == {"duplicates": 1}


def test_an_unknown_parent_fails_the_record_under_its_name(campaign: Any) -> None:
    assert counts(consume(ClickConsumer, click(campaign), click(campaign.pk + 999))) == {"written": 1, "failed": 1}
    [(reason, message, trace)] = failures("reason", "message", "traceback")
    assert reason == "unknown_campaign"
    assert f"campaign_id={campaign.pk + 999}" in message
    assert trace == ""


def test_what_is_not_the_event_is_kept_byte_for_byte() -> None:
    log = log_of()
    log.append(
        "orders", b"\xff\x00{", key=b"\x00k", headers=(("h", b"\xfe"), ("none", None)), timestamp=1_700_000_000_123
    )
    assert counts(run_consumer(OrderConsumer, log)) == {"failed": 1}
    failed = FailedRecord.objects.get()
    assert failed.reason == "undecodable"
    assert failed.to_record() == log.partitions[failed.source][0]


def test_a_tombstone_is_skipped() -> None:
    assert counts(consume(OrderConsumer, None, order())) == {"written": 1, "skipped": 1}


def test_a_record_that_process_makes_nothing_of_is_skipped() -> None:
    class Skips(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> Order | None:
            return None

    assert counts(consume(Skips, order())) == {"skipped": 1}


def test_a_record_that_becomes_an_empty_list_of_rows_is_skipped() -> None:
    class Skips(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> list[Order]:
            return []

    assert counts(consume(Skips, order())) == {"skipped": 1}


def test_an_error_of_process_fails_the_record_with_its_traceback() -> None:
    class Raises(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> Order:
            if event.note == "bad":
                raise KeyError("nothing there")
            return Order(number=event.number)

    assert counts(consume(Raises, order(), order(note="bad"), order())) == {"written": 2, "failed": 1}
    [(reason, exception, message, trace)] = failures("reason", "exception", "message", "traceback")
    assert (reason, exception, message) == ("handler_error", "KeyError", "'nothing there'")
    assert "test_engine_outcomes.py" in trace


def test_a_process_that_returns_what_is_no_row_fails_the_record() -> None:
    class Returns(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> Any:
            return 7 if event.note == "number" else ["text"] if event.note == "list" else Order(number=event.number)

    result = consume(Returns, order(note="number"), order(note="list"), order())
    assert counts(result) == {"written": 1, "failed": 2}
    assert failures("reason") == ["handler_error", "handler_error"]


def test_a_process_that_returns_rows_of_another_model_fails_the_record(advertiser: Any) -> None:
    class Returns(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> Any:
            return type(advertiser)(name="stray") if event.note else Order(number=event.number)

    assert counts(consume(Returns, order(note="x"), order())) == {"written": 1, "failed": 1}
    assert failures("reason", "message") == [("handler_error", "process() must return rows of Order, not Advertiser")]


def test_a_row_without_its_key_fails_alone() -> None:
    class Nameless(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> Order:
            return Order(number=None if event.note else event.number)

    assert counts(consume(Nameless, order(), order(note="x"), order())) == {"written": 2, "failed": 1}
    assert failures("message") == ["the row has no number, which is part of its idempotency key"]


def test_a_key_that_its_column_refuses_fails_alone(campaign: Any) -> None:
    class Careless(ClickConsumer):
        def process(self, event: Any, campaigns: Any) -> Click:
            row = super().process(event, campaigns)
            row.event_id = "not a uuid" if event.user_id else row.event_id
            return row

    assert counts(consume(Careless, click(campaign), click(campaign, user_id="u"))) == {"written": 1, "failed": 1}
    assert failures("reason") == ["handler_error"]


def test_a_generator_that_fails_half_way_writes_nothing_of_its_record() -> None:
    class Yields(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> Iterable[Order]:
            yield Order(number=event.number)
            if event.note == "bad":
                raise ValueError("half way")

    assert counts(consume(Yields, order("a"), order("b", note="bad"))) == {"written": 1, "failed": 1}
    assert list(Order.objects.values_list("number", flat=True)) == ["a"]


def test_passing_trouble_is_tried_again_in_place() -> None:
    class Passing(OrderConsumer):
        retry = QUICK_RETRY
        calls = 0

        def process(self, event: OrderEvent, context: object) -> Order:
            Passing.calls += 1
            if Passing.calls < 3:
                raise TransientError("503")
            return Order(number=event.number)

    assert counts(consume(Passing, order())) == {"written": 1}
    assert Passing.calls == 3


@pytest.mark.parametrize(
    "error", [TransientError("503"), TimeoutError("slow"), ConnectionResetError("gone"), Timeout(1)]
)
def test_trouble_that_does_not_pass_fails_the_record_when_the_retries_are_used_up(error: BaseException) -> None:
    class Down(OrderConsumer):
        retry = RetryPolicy(attempts=4, backoff=AT_ONCE)
        calls = 0

        def process(self, event: OrderEvent, context: object) -> Order:
            Down.calls += 1
            raise error

    assert counts(consume(Down, order())) == {"failed": 1}
    assert failures("reason", "message") == [("retries_exhausted", str(error))]
    assert Down.calls == 4


def test_a_refusal_is_not_tried_again() -> None:
    class Refuses(OrderConsumer):
        calls = 0

        def process(self, event: OrderEvent, context: object) -> Order:
            Refuses.calls += 1
            reject("too_old", days=9)

    assert counts(consume(Refuses, order())) == {"failed": 1}
    assert failures("reason", "message") == [("too_old", "too_old: days=9")]
    assert Refuses.calls == 1


def test_a_refusal_with_any_reason_and_message_can_be_stored() -> None:
    class Refuses(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> Order:
            raise RecordError("r\x00" + "long" * 100, "m\x00\ud800" + "x" * 100_000)

    assert counts(consume(Refuses, order())) == {"failed": 1}


def test_several_rows_of_one_record_are_written_together() -> None:
    class Lines(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> list[Order]:
            return [Order(number=f"{event.number}/{line}", quantity=event.quantity) for line in range(3)]

    assert counts(consume(Lines, order("a"), order("b", quantity=0), order("c"))) == {"written": 2, "failed": 1}
    numbers = sorted(Order.objects.values_list("number", flat=True))
    assert numbers == ["a/0", "a/1", "a/2", "c/0", "c/1", "c/2"]


def test_one_bad_row_of_several_fails_the_record_whole() -> None:
    class Lines(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> list[Order]:
            return [Order(number=f"{event.number}/{line}", quantity=line) for line in (1, 0, 2)]

    assert counts(consume(Lines, order("a"))) == {"failed": 1}
    assert not Order.objects.exists()


def test_a_record_of_several_rows_that_are_all_there_is_a_duplicate() -> None:
    class Lines(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> list[Order]:
            return [Order(number=f"{event.number}/{line}") for line in range(2)]

    assert counts(consume(Lines, order("a"), order("a"))) == {"written": 1, "duplicates": 1}


def test_a_record_some_of_whose_rows_are_new_is_written() -> None:
    class Lines(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> list[Order]:
            return [Order(number=number) for number in event.note.split()]

    assert counts(consume(Lines, order(note="a b"), order(note="b c"), order(note="c a"))) == {
        "written": 2,
        "duplicates": 1,
    }
    assert sorted(Order.objects.values_list("number", flat=True)) == ["a", "b", "c"]


def test_a_record_that_makes_the_same_row_twice_is_written_once() -> None:
    class Lines(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> list[Order]:
            return [Order(number=event.number), Order(number=event.number)]

    assert counts(consume(Lines, order("a"), order("b"))) == {"written": 2}
    assert Order.objects.count() == 2


def test_records_of_one_key_are_processed_one_after_the_other_and_keys_side_by_side() -> None:
    class Ordered(OrderConsumer):
        seen: list[tuple[str, int]] = []  # noqa: RUF012
        running: list[str] = []  # noqa: RUF012
        side_by_side = False

        def order_by(self, event: OrderEvent) -> str:
            return event.note

        def process(self, event: OrderEvent, context: object) -> Order:
            assert event.note not in Ordered.running
            Ordered.running.append(event.note)
            Ordered.side_by_side |= len(Ordered.running) > 1
            sleep(0.001 if event.note == "x" else 0)
            Ordered.running.remove(event.note)
            Ordered.seen.append((event.note, event.quantity))
            return Order(number=event.number)

    values = [order(note=key, quantity=n + 1) for n in range(5) for key in ("x", "y")]
    assert counts(consume(Ordered, *values)) == {"written": 10}
    assert [n for key, n in Ordered.seen if key == "x"] == [1, 2, 3, 4, 5]
    assert [n for key, n in Ordered.seen if key == "y"] == [1, 2, 3, 4, 5]
    assert Ordered.side_by_side


def test_a_failing_order_by_fails_only_its_record() -> None:
    class Ordered(OrderConsumer):
        def order_by(self, event: OrderEvent) -> Any:
            return {"list": [], "error": 1 // (event.quantity - 7)}[event.note] if event.note else None

    result = consume(Ordered, order(), order(note="list"), order(note="unknown"), order(note="error", quantity=7))
    assert counts(result) == {"written": 1, "failed": 3}
    assert set(failures("reason")) == {"handler_error"}


def test_no_more_records_are_processed_at_once_than_the_consumer_allows() -> None:
    class Counted(OrderConsumer):
        max_concurrency = 3
        running = most = 0

        def process(self, event: OrderEvent, context: object) -> Order:
            Counted.running += 1
            Counted.most = max(Counted.most, Counted.running)
            sleep(0)
            Counted.running -= 1
            return Order(number=event.number)

    consume(Counted, *(order() for _ in range(20)))
    assert Counted.most == 3


def test_prefetch_is_called_once_a_chunk_with_what_could_be_decoded() -> None:
    class Fetches(OrderConsumer):
        calls: list[int] = []  # noqa: RUF012

        def prefetch(self, events: Any) -> dict[str, int]:
            Fetches.calls.append(len(events))
            return {"quantity": 5}

        def process(self, event: OrderEvent, context: Any) -> Order:
            return Order(number=event.number, quantity=context["quantity"])

    consume(Fetches, order(), b"{", None, order())
    assert Fetches.calls == [2]
    assert set(Order.objects.values_list("quantity", flat=True)) == {5}


def test_a_query_inside_process_stops_the_consumer() -> None:
    class Queries(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> Order:
            Order.objects.exists()
            return Order(number=event.number)

    forbid_queries_in_workers()
    with pytest.raises(FatalError, match=r"process\(\) queried the database; fetch it in prefetch\(\) instead"):
        consume(Queries, order())
    assert not FailedRecord.objects.exists()


def test_a_fatal_error_of_process_stops_the_consumer_with_nothing_settled() -> None:
    class Fatal(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> Order:
            if event.note:
                raise FatalError("the key file is missing")
            return Order(number=event.number)

    with pytest.raises(FatalError, match="the key file is missing"):
        consume(Fatal, order(), order(note="x"))
    assert not Order.objects.exists()
    assert ledger() == {}


def test_an_error_of_prefetch_stops_the_consumer_with_nothing_settled() -> None:
    class Broken(OrderConsumer):
        def prefetch(self, events: Any) -> Any:
            raise LookupError("no such cache")

    with pytest.raises(LookupError, match="no such cache"):
        consume(Broken, order())
    assert ledger() == {}


def test_foreign_keys_are_checked_inside_the_savepoint_of_the_record(campaign: Any) -> None:
    class Careless(ClickConsumer):
        def process(self, event: Any, campaigns: Any) -> Click:
            row = super().process(event, {event.campaign_id: campaign})
            row.campaign_id = event.campaign_id
            return row

    values = [click(campaign), click(campaign.pk + 999), click(campaign)]
    assert counts(consume(Careless, *values)) == {"written": 2, "failed": 1}
    assert failures("offset", "reason") == [(1, "constraint")]
    assert connection.in_atomic_block


def test_a_record_over_the_limit_fails_with_its_head_kept_and_waits_to_be_read_again() -> None:
    class Small(OrderConsumer):
        batch = BatchPolicy(record_bytes=100_000)

    value = b'"' + b"x" * 200_000 + b'"'
    assert counts(consume(Small, value, order())) == {"written": 1, "failed": 1}
    [(reason, message, kept)] = failures("reason", "message", "value")
    assert reason == "too_large"
    assert "200,002 bytes" in message
    assert bytes(kept) == value[: 64 * 1024]
    assert not Selection().queryset("default").exists()


def test_a_handler_that_never_returns_fails_its_record_alone() -> None:
    class Sleepy(OrderConsumer):
        handler_timeout = 0.1

        def process(self, event: OrderEvent, context: object) -> Order:
            if event.note == "sleep":
                with suppress(Exception):
                    sleep(3600)
            return Order(number=event.number)

    assert counts(consume(Sleepy, order(note="sleep"), order(), order(note="sleep"), order())) == {
        "written": 2,
        "failed": 2,
    }
    assert failures("reason", "message") == [("handler_timeout", "did not return within 0.1 s")] * 2


def test_a_chunk_that_makes_no_progress_stops_the_consumer_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    class Waits(OrderConsumer):
        handler_timeout = 0

        def process(self, event: OrderEvent, context: object) -> Order:
            sleep(3600)
            raise AssertionError("unreachable")

    with pytest.raises(Stuck, match=r"no progress for 0.2 s at 1 records of orders\[0\]@0-0"):
        consume(Waits, order(), stuck_timeout=0.2)
    assert "in process" in caplog.text  # the stack of the greenlet that waits
    assert ledger() == {}
