"""One bad record costs few statements and none of its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import log2
from typing import Any

import pytest
from django.db import connection
from django.db.models.expressions import RawSQL
from django.test.utils import CaptureQueriesContext

from ads.consumers import Campaigns, ClickConsumer
from ads.events import ClickEvent
from ads.models import Campaign, Click
from consumers.core.errors import FatalError
from consumers.core.policies import BatchPolicy
from consumers.models import FailedRecord
from consumers.pipeline.isolate import HINTS
from consumers.postgres.copy import CopyTable
from payments.balances import unbalanced
from payments.consumers import PaymentConsumer
from payments.models import Balance, Payment
from tests.integration.engine import consume, counts, failures, ledger, move_back
from tests.makers import click, order, payment
from tests.orders import ComparingConsumer, Order, OrderConsumer, OrderEvent

pytestmark = pytest.mark.django_db


def attempts_of(bad: Sequence[int], total: int) -> int:
    """How often the table was written to for a chunk in which the orders at these places break a rule."""
    values = [order(f"{n:05}", quantity=0 if n in bad else 1) for n in range(total)]
    with CaptureQueriesContext(connection) as queries:
        result = consume(OrderConsumer, *values)
    assert (result.tally.written, result.tally.failed) == (total - len(bad), len(bad))
    assert failures("offset", "reason", "exception") == [(n, "constraint", "IntegrityError") for n in sorted(bad)]
    return sum('INSERT INTO "tests_order"' in query["sql"] for query in queries)


@pytest.mark.parametrize("place", [0, 1, 500, 998, 999])
def test_a_bad_record_is_found_in_log_n_attempts_and_its_neighbours_are_written(place: int) -> None:
    assert attempts_of([place], 1_000) <= 2 * log2(1_000) + 3


def test_several_bad_records_cost_log_n_attempts_each() -> None:
    assert attempts_of([3, 333, 700, 999], 1_000) <= 4 * (2 * log2(1_000) + 3)


def test_a_chunk_of_bad_records_only_fails_them_all() -> None:
    assert attempts_of(range(32), 32) <= 4 * 32


class CopiedConsumer(ClickConsumer):
    """Clicks of which those with a cost below zero break a rule of the table."""

    name = "clicks"

    def process(self, event: ClickEvent, campaigns: Campaigns) -> Click:
        click = super().process(event, campaigns)
        click.cost = Decimal(event.url.rpartition("/")[2])
        return click


def copies_of(campaign: Campaign, bad: Sequence[int], total: int) -> int:
    """How often rows were copied for a chunk in which the clicks at these places break a rule."""
    values = [click(campaign, url=f"https://example.org/{'-1' if n in bad else '1'}") for n in range(total)]
    with CaptureQueriesContext(connection) as queries:
        result = consume(CopiedConsumer, *values)
    assert (result.tally.written, result.tally.failed) == (total - len(bad), len(bad))
    assert failures("offset", "reason") == [(n, "constraint") for n in sorted(bad)]
    return sum(query["sql"].startswith("COPY") for query in queries)


def test_the_lines_of_a_chunk_are_made_once_however_often_it_is_tried(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    lines = CopyTable.lines
    monkeypatch.setattr(CopyTable, "lines", lambda self, rows: made.append(len(rows)) or lines(self, rows))
    assert copies_of(campaign, [7, 77, 177], 500) == 4
    assert made == [500]


@pytest.mark.parametrize("place", [0, 1, 250, 499])
def test_where_the_server_points_at_the_bad_row_it_costs_one_attempt_more(campaign: Campaign, place: int) -> None:
    assert copies_of(campaign, [place], 500) == 2


def test_pointers_are_followed_a_few_times(campaign: Campaign) -> None:
    assert copies_of(campaign, [7, 77, 177, 277, 377], 500) == 6


def test_where_many_are_bad_halving_takes_over(campaign: Campaign) -> None:
    one_each = 200  # what it would cost in attempts, but each on all the rest, if no pointer were left unfollowed
    assert 2 * one_each < copies_of(campaign, range(0, 400, 2), 400) <= HINTS + 4 * 200


def test_a_chunk_is_undone_once_however_well_those_of_others_fare(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.ingest._optimism", {})  # what this test makes of it is not for others
    monkeypatch.setattr("consumers.ingest.Optimism.tries", lambda self: True)
    values = [click(campaign) for _ in range(4)]
    consume(ClickConsumer, *values[:2])
    move_back("clicks")
    with CaptureQueriesContext(connection) as queries:
        assert counts(consume(ClickConsumer, *values)) == {"written": 2, "duplicates": 2}
    copies = [query["sql"] for query in queries if query["sql"].startswith("COPY")]
    assert [" pg_temp." in copy for copy in copies] == [False, False, True]


def test_a_good_chunk_is_one_insert() -> None:
    assert attempts_of([], 100) == 1


def test_duplicates_cost_no_further_insert() -> None:
    values = [order(f"{n:02}") for n in range(20)]
    assert counts(consume(OrderConsumer, *values[::2])) == {"written": 10}
    move_back()
    with CaptureQueriesContext(connection) as queries:
        assert counts(consume(OrderConsumer, *values, values[0], values[1])) == {"written": 10, "duplicates": 12}
    assert sum('INSERT INTO "tests_order"' in query["sql"] for query in queries) == 1


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ({"quantity": 0}, "constraint"),
        ({"quantity": 2**40}, "data"),
        ({"note": "far too long for its column"}, "data"),
    ],
)
def test_what_the_table_refuses_fails_alone(field: dict[str, Any], reason: str) -> None:
    assert counts(consume(OrderConsumer, order(), order(**field), order())) == {"written": 2, "failed": 1}
    assert failures("offset", "reason") == [(1, reason)]


def test_a_missing_value_fails_alone() -> None:
    class Forgets(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> Order:
            return Order(number=event.number, quantity=None if event.note else 1)

    assert counts(consume(Forgets, order(), order(note="x"), order())) == {"written": 2, "failed": 1}


def test_a_value_of_a_wrong_type_fails_alone() -> None:
    class Forgets(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> Order:
            return Order(number=event.number, quantity="many" if event.note else 1)

    assert counts(consume(Forgets, order(), order(note="x"), order())) == {"written": 2, "failed": 1}
    assert failures("reason") == ["handler_error"]


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_a_text_that_the_driver_cannot_send_fails_alone(text: str) -> None:
    class Makes(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> Order:
            return Order(number=event.number, note=text if event.note else "")

    assert counts(consume(Makes, order(), order(note="x"), order())) == {"written": 2, "failed": 1}


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_a_key_that_the_driver_cannot_send_fails_alone(text: str) -> None:
    class Makes(OrderConsumer):
        def process(self, event: OrderEvent, context: object) -> Order:
            return Order(number=text if event.note else event.number)

    assert counts(consume(Makes, order(), order(note="x"), order())) == {"written": 2, "failed": 1}


def test_the_driver_text_with_the_rows_values_is_not_kept() -> None:
    consume(OrderConsumer, order("a", quantity=0, note="private"))
    [(message, trace)] = failures("message", "traceback")
    assert "tests_order_quantity_positive" in message
    assert "private" not in message + trace


def test_another_unique_constraint_is_a_failure_and_not_swallowed() -> None:
    Order.objects.create(number="old", code="c1")
    assert counts(consume(OrderConsumer, order("a", code="c1"), order("b", code="c2"))) == {"written": 1, "failed": 1}
    assert failures("offset", "reason") == [(0, "constraint")]


def test_another_unique_constraint_between_records_of_one_chunk_fails_one_of_them() -> None:
    assert counts(consume(OrderConsumer, order("a", code="c"), order("b", code="c"), order("d"))) == {
        "written": 2,
        "failed": 1,
    }
    assert failures("reason") == ["constraint"]


def test_a_duplicate_beside_a_bad_record_is_still_a_duplicate() -> None:
    Order.objects.create(number="b")
    values = [order("a", quantity=0), order("b"), order("c"), order("c")]
    assert counts(consume(OrderConsumer, *values)) == {"written": 1, "duplicates": 2, "failed": 1}


def test_a_row_that_another_transaction_writes_meanwhile_is_a_duplicate(
    committed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Moody(OrderConsumer):
        moods: list[str] = ["bad", "good"]  # noqa: RUF012

        def on_written(self, rows: Sequence[Order]) -> None:
            if Moody.moods.pop(0) == "bad":
                raise ValueError("so that the record is saved alone")

    def save_too_late(self: Order, **how: Any) -> None:
        rival = connection.copy()
        with rival.cursor() as cursor:
            cursor.execute("INSERT INTO tests_order (number, quantity, note) VALUES (%s, 1, 'rival')", [self.number])
        rival.close()
        save(self, **how)

    save = Order.save
    monkeypatch.setattr(Order, "save", save_too_late)
    assert counts(consume(Moody, order("a"))) == {"duplicates": 1}
    assert Order.objects.get().note == "rival"
    assert Moody.moods == ["good"]


def test_a_good_record_under_the_key_of_a_failed_one_is_written() -> None:
    assert counts(consume(OrderConsumer, order("a", quantity=0), order("a", quantity=1))) == {"written": 1, "failed": 1}
    assert failures("offset") == [0]
    assert Order.objects.get().quantity == 1


def test_a_bad_record_under_the_key_of_a_good_one_is_a_duplicate() -> None:
    assert counts(consume(OrderConsumer, order("a", quantity=1), order("a", quantity=0))) == {
        "written": 1,
        "duplicates": 1,
    }


def test_a_bad_record_under_the_key_of_a_good_one_is_a_conflict_where_content_is_compared() -> None:
    result = consume(ComparingConsumer, order("a", quantity=1), order("a", quantity=0))
    assert counts(result) == {"written": 1, "failed": 1}
    assert failures("offset", "reason") == [(1, "conflict")]


def test_a_failed_record_repeated_in_the_chunk_fails_again() -> None:
    assert counts(consume(OrderConsumer, *[order("a", quantity=0)] * 3, order())) == {"written": 1, "failed": 3}
    assert failures("offset", "reason") == [(n, "constraint") for n in range(3)]


def test_a_failed_record_repeated_in_the_chunk_costs_no_further_insert() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert counts(consume(OrderConsumer, *[order("a", quantity=0)] * 32, order())) == {"written": 1, "failed": 32}
    assert sum('INSERT INTO "tests_order"' in query["sql"] for query in queries) <= 4


def test_many_attempts_at_one_key_end_with_the_first_good_one() -> None:
    values = [order("a", quantity=-n) for n in range(5)] + [order("a", quantity=n) for n in (1, 2)]
    assert counts(consume(OrderConsumer, *values)) == {"written": 1, "duplicates": 1, "failed": 5}


# ---- on_written -----------------------------------------------------------------------------------------------------


class Effects(OrderConsumer):
    """Refuses the orders that say so, when they are in the table already."""

    error: BaseException = ValueError("no effect of it")

    def on_written(self, rows: Sequence[Order]) -> None:
        Order.objects.filter(number__in=[row.number for row in rows]).update(note="effected")
        if any(row.code == "bad" for row in rows):
            raise self.error


def test_an_error_of_on_written_isolates_the_record_at_fault() -> None:
    values = [order("a"), order("b", code="bad"), order("c"), order("d")]
    assert counts(consume(Effects, *values)) == {"written": 3, "failed": 1}
    assert failures("offset", "reason", "message") == [(1, "handler_error", "no effect of it")]
    assert sorted(Order.objects.values_list("number", "note")) == [(n, "effected") for n in ("a", "c", "d")]


def test_on_written_is_given_only_the_rows_that_were_new() -> None:
    class Notes(OrderConsumer):
        given: list[str] = []  # noqa: RUF012

        def on_written(self, rows: Sequence[Order]) -> None:
            Notes.given += [row.number for row in rows]

    Order.objects.create(number="b")
    consume(Notes, order("a"), order("b"), order("c"), order("c"))
    assert sorted(Notes.given) == ["a", "c"]


def test_on_written_is_not_called_without_new_rows() -> None:
    class Never(OrderConsumer):
        def on_written(self, rows: Sequence[Order]) -> None:
            raise AssertionError("called")

    Order.objects.create(number="a")
    assert counts(consume(Never, order("a"), order("a"))) == {"duplicates": 2}


def test_a_balance_is_the_sum_of_its_payments_also_when_a_neighbour_is_isolated(advertiser: Any) -> None:
    class Careless(PaymentConsumer):
        def process(self, event: Any, advertisers: Any) -> Payment:
            row = super().process(event, advertisers)
            row.amount = Decimal(event.amount) if event.reference != "bad" else Decimal(-1)
            return row

    values = [payment(advertiser, amount=f"{n}.01") for n in range(1, 9)]
    values[3:3] = [payment(advertiser, reference="bad"), payment(advertiser, kind="refund", amount="2.5"), values[0]]
    result = consume(Careless, *values)
    assert counts(result) == {"written": 9, "duplicates": 1, "failed": 1}
    assert Balance.objects.get().amount == Decimal("33.58")
    assert not unbalanced()


def test_a_payment_that_would_overflow_its_balance_fails_alone(advertiser: Any) -> None:
    Balance.objects.create(advertiser=advertiser, currency="EUR", amount=Decimal("99999999999999999999.99"))
    values = [payment(advertiser, currency="USD"), payment(advertiser), payment(advertiser, currency="USD")]
    assert counts(consume(PaymentConsumer, *values)) == {"written": 2, "failed": 1}
    assert failures("offset", "reason") == [(1, "data")]


# ---- whatever is not the fault of a record --------------------------------------------------------------------------


def test_a_missing_table_stops_the_consumer_and_blames_no_record() -> None:
    with connection.schema_editor() as editor:
        editor.execute("ALTER TABLE tests_order RENAME TO tests_order_away")
    with pytest.raises(Exception, match='relation "tests_order" does not exist'):
        consume(OrderConsumer, order())
    assert not FailedRecord.objects.exists()
    assert ledger() == {}


def test_what_no_record_is_to_blame_for_is_not_looked_for_by_halving() -> None:
    class Unlicensed(OrderConsumer):
        attempts: list[int] = []  # noqa: RUF012

        def on_written(self, rows: Sequence[Order]) -> None:
            Unlicensed.attempts.append(len(rows))
            raise FatalError("the licence has run out")

    with pytest.raises(FatalError, match="the licence has run out"):
        consume(Unlicensed, *(order() for _ in range(8)))
    assert Unlicensed.attempts == [8]
    assert not FailedRecord.objects.exists()
    assert ledger() == {}


def test_a_chunk_is_written_in_the_order_of_its_keys() -> None:
    class Notes(OrderConsumer):
        batch = BatchPolicy(max_wait=0)

    consume(Notes, *(order(number) for number in "hbdcagef"))
    placed = Order.objects.order_by(RawSQL("ctid", ()))
    assert [row.number for row in placed] == list("abcdefgh")
