"""What the database itself refuses, and the indexes that every payment pays for."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.utils import timezone

from ads.models import Advertiser
from payments.models import Balance, Payment

pytestmark = pytest.mark.django_db


@pytest.fixture
def advertiser() -> Advertiser:
    return Advertiser.objects.create(id=1, name="A")


def make_payment(**fields: Any) -> Payment:
    values: dict[str, Any] = {
        "transaction_id": "t",
        "advertiser_id": 1,
        "kind": "charge",
        "amount": "1.5",
        "currency": "EUR",
        "occurred_at": timezone.now(),
    }
    payment: Payment = Payment.objects.create(**values | fields)
    return payment


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"amount": "0"}, "payments_payment_amount_positive"),
        ({"amount": "-1"}, "payments_payment_amount_positive"),
        ({"kind": "gift"}, "payments_payment_kind_known"),
        ({"currency": "eur"}, "payments_payment_currency_code"),
        ({"currency": "EU"}, "payments_payment_currency_code"),
    ],
)
@pytest.mark.usefixtures("advertiser")
def test_a_payment_that_makes_no_sense_is_refused(fields: dict[str, Any], constraint: str) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        make_payment(**fields)


@pytest.mark.usefixtures("advertiser")
def test_a_transaction_id_is_there_once() -> None:
    make_payment()
    with pytest.raises(IntegrityError, match="payments_payment_pkey"), transaction.atomic():
        make_payment(amount="2")


@pytest.mark.usefixtures("advertiser")
def test_the_largest_amount_of_the_wire_fits_and_a_larger_one_does_not() -> None:
    assert make_payment(amount=Decimal("99999999999999.9999")).amount == Decimal("99999999999999.9999")
    with pytest.raises(DataError), transaction.atomic():
        make_payment(transaction_id="u", amount=Decimal("100000000000000"))


def test_an_advertiser_has_one_balance_a_currency(advertiser: Advertiser) -> None:
    Balance.objects.create(advertiser=advertiser, currency="EUR")
    Balance.objects.create(advertiser=advertiser, currency="GBP")
    with pytest.raises(IntegrityError, match="payments_balance_account"), transaction.atomic():
        Balance.objects.create(advertiser=advertiser, currency="EUR")


@pytest.mark.parametrize(
    ("model", "indexes"),
    [
        (Payment, {"payments_payment_pkey", "payments_payment_time", "payments_payment_statement"}),
        (Balance, {"payments_balance_pkey", "payments_balance_account"}),
    ],
)
def test_no_index_is_there_beyond_those_that_have_a_reader(model: type[Any], indexes: set[str]) -> None:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, model._meta.db_table)

    assert {name for name, details in found.items() if details["index"] or details["unique"]} == indexes


def test_rows_say_what_they_are(advertiser: Advertiser) -> None:
    balance = Balance.objects.create(advertiser=advertiser, currency="EUR", amount="2.5")

    assert str(make_payment()) == "charge t: 1.5 EUR"
    assert str(balance) == "advertiser 1: 2.5 EUR"
