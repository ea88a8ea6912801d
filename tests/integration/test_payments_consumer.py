"""What payments become, and what they do to the balances."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from ads.models import Advertiser
from consumers import registry
from consumers.api import RecordError
from consumers.rows import to_model
from payments.balances import add_to_balances, unbalanced
from payments.consumers import PaymentConsumer
from payments.events import PaymentEvent
from payments.models import Balance, Payment

AT = datetime(2026, 1, 2, tzinfo=UTC)


def event(number: int = 1, **fields: Any) -> PaymentEvent:
    values: dict[str, Any] = {"advertiser_id": 1, "kind": "charge", "amount": "10.0000", "currency": "EUR"}
    return PaymentEvent(transaction_id=f"t{number}", occurred_at=AT, **values | fields)


def take(*events: PaymentEvent) -> None:
    """Write events as the engine would, all of them new."""
    consumer = PaymentConsumer()
    context = consumer.prefetch(events)
    rows = [consumer.process(each, context) for each in events]
    Payment.objects.bulk_create(map(to_model, rows))
    consumer.on_written(rows)


def balances() -> dict[tuple[int, str], Decimal]:
    return {(row.advertiser_id, row.currency): row.amount for row in Balance.objects.all()}


@pytest.fixture
def advertisers(db: None) -> None:
    Advertiser.objects.bulk_create([Advertiser(id=number, name=f"A{number}") for number in range(1, 6)])


@pytest.mark.usefixtures("advertisers")
def test_a_payment_has_what_the_event_said() -> None:
    take(event(method="card", reference="r"))

    row = Payment.objects.get()
    assert (row.transaction_id, row.advertiser_id, row.kind, row.currency) == ("t1", 1, "charge", "EUR")
    assert (row.amount, row.occurred_at, row.method, row.reference) == (Decimal(10), AT, "card", "r")


@pytest.mark.usefixtures("advertisers")
def test_charges_add_and_refunds_subtract_by_advertiser_and_currency() -> None:
    take(event(1), event(2, kind="refund", amount="10.0001"), event(3, currency="GBP"), event(4, advertiser_id=2))
    take(event(5, amount="0.1"), event(6, amount="0.2"))

    assert balances() == {(1, "EUR"): Decimal("0.2999"), (1, "GBP"): Decimal(10), (2, "EUR"): Decimal(10)}
    assert unbalanced() == {}


@pytest.mark.usefixtures("advertisers")
def test_a_chunk_costs_one_query_to_prefetch_and_one_for_the_balances(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    consumer = PaymentConsumer()
    events = [event(number, advertiser_id=1 + number % 5) for number in range(50)]
    with django_assert_num_queries(1):
        context = consumer.prefetch(events)
        rows = [consumer.process(each, context) for each in events]
    with django_assert_num_queries(1):
        consumer.on_written(rows)


@pytest.mark.usefixtures("db")
def test_no_rows_cost_no_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        PaymentConsumer().on_written([])


@pytest.mark.usefixtures("advertisers")
def test_a_payment_of_an_advertiser_that_there_is_not_is_rejected_by_name() -> None:
    with pytest.raises(RecordError) as caught:
        take(event(advertiser_id=9))

    assert (caught.value.reason, caught.value.facts) == ("unknown_advertiser", {"advertiser_id": 9})


def test_a_payment_that_comes_again_is_compared_by_all_that_was_sent() -> None:
    assert registry.get("payments") is PaymentConsumer
    assert PaymentConsumer.on_conflict == "compare"
    assert {*PaymentConsumer.content, *PaymentConsumer.unique} == {*PaymentEvent.__struct_fields__}


@pytest.mark.usefixtures("advertisers")
def test_balances_are_undone_with_their_transaction() -> None:
    with transaction.atomic():
        take(event())
        assert balances() == {(1, "EUR"): Decimal(10)}
        transaction.set_rollback(True)

    assert balances() == {}


@pytest.mark.usefixtures("advertisers")
def test_a_balance_that_is_not_the_sum_is_told() -> None:
    take(event(1), event(2, advertiser_id=2))
    Balance.objects.filter(advertiser_id=1).update(amount=9)
    Balance.objects.filter(advertiser_id=2).delete()
    Balance.objects.create(advertiser_id=3, currency="EUR", amount=1)

    assert unbalanced() == {
        (1, "EUR"): (Decimal(9), Decimal(10)),
        (2, "EUR"): (Decimal(0), Decimal(10)),
        (3, "EUR"): (Decimal(1), Decimal(0)),
    }


@pytest.mark.usefixtures("advertisers")
def test_a_balance_never_overflows_in_silence() -> None:
    add_to_balances({(1, "EUR"): Decimal("9" * 20)})
    with pytest.raises(DataError), transaction.atomic():
        add_to_balances({(1, "EUR"): Decimal(1)})


@pytest.mark.usefixtures("advertisers")
def test_a_balance_of_nobody_is_refused() -> None:
    @transaction.atomic
    def add_and_check() -> None:
        add_to_balances({(9, "EUR"): Decimal(1)})
        connection.check_constraints()  # as the commit would

    with pytest.raises(IntegrityError):
        add_and_check()


amounts = st.decimals("0.0001", "99999999999999.9999", places=4)
payments = st.tuples(
    st.integers(1, 5), st.sampled_from(["EUR", "GBP", "JPY"]), st.sampled_from(["charge", "refund"]), amounts
)


@pytest.mark.usefixtures("advertisers")
@given(chunks=st.lists(st.lists(payments, max_size=8), max_size=4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_balance_is_the_sum_of_its_payments_to_the_last_place(chunks: list[list[Any]]) -> None:
    number = 0
    with transaction.atomic():
        for chunk in chunks:
            events = []
            for advertiser, currency, kind, amount in chunk:
                number += 1
                events.append(
                    event(number, advertiser_id=advertiser, currency=currency, kind=kind, amount=f"{amount:.4f}")
                )
            take(*events)
        assert unbalanced() == {}
        transaction.set_rollback(True)


def side_by_side(*jobs: Callable[[], None]) -> list[BaseException]:
    """Run jobs in threads that start together; what they raised."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], None]) -> None:
        try:
            start.wait(30)
            job()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


@pytest.mark.django_db(transaction=True)
def test_writers_with_accounts_in_common_never_deadlock_and_lose_nothing() -> None:
    Advertiser.objects.bulk_create([Advertiser(id=number, name=f"A{number}") for number in range(1, 41)])
    forwards = {(number, "EUR"): Decimal("0.01") for number in range(1, 41)}
    backwards = dict(reversed(forwards.items()))

    def add(changes: dict[tuple[int, str], Decimal]) -> None:
        for _ in range(25):
            with transaction.atomic():
                add_to_balances(changes)

    errors = side_by_side(lambda: add(forwards), lambda: add(backwards), lambda: add(forwards))

    assert errors == []
    assert set(balances().values()) == {Decimal("0.75")}
    assert len(balances()) == 40
