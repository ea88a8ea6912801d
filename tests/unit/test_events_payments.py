"""What the payments topic's decoder accepts and refuses."""

import json
from typing import Any

import msgspec
import pytest

from payments import limits
from payments.currencies import CURRENCIES
from payments.events import PaymentEvent
from payments.models import Payment

PAYMENT: dict[str, Any] = {
    "transaction_id": "t-1",
    "advertiser_id": 3,
    "kind": "charge",
    "amount": "12.50",
    "currency": "EUR",
    "occurred_at": "2026-01-02T03:04:05Z",
}
MISSING = object()


def decode(**changes: Any) -> PaymentEvent:
    merged = {name: value for name, value in (PAYMENT | changes).items() if value is not MISSING}
    return msgspec.json.decode(json.dumps(merged).encode(), type=PaymentEvent)


@pytest.mark.parametrize(
    "amount", ["1", "0.0001", "00.5", "12.5", "99999999999999.9999", "10", "00000000000001", "0.1000"]
)
def test_a_positive_decimal_with_up_to_four_places_is_an_amount(amount: str) -> None:
    assert decode(amount=amount).amount == amount


@pytest.mark.parametrize(
    "amount",
    [
        *("", "0", "0.0000", "-1", "+1", "1.", ".5", "1.00001", "999999999999999", "1.5.5", "1,5", " 1", "1 ", "1\n"),
        *("1e3", "1_0", "0x1", "\N{ARABIC-INDIC DIGIT ONE}", "NaN", "Infinity", 12.5, 12, None, True, ["1"]),
    ],
    ids=repr,
)
def test_anything_else_is_no_amount(amount: object) -> None:
    with pytest.raises(msgspec.ValidationError, match="amount"):
        decode(amount=amount)


@pytest.mark.parametrize("currency", ["GBP", "JPY", "XDR", "XCG"])
def test_an_active_code_is_a_currency(currency: str) -> None:
    assert decode(currency=currency).currency == currency


@pytest.mark.parametrize("currency", ["gbp", "ABC", "DEM", "XXX", "XTS", "", "EURO", "EUR ", "€", None, 978])
def test_anything_else_is_no_currency(currency: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(currency=currency)


def test_every_currency_has_three_capital_letters() -> None:
    assert all(len(code) == 3 and code.isascii() and code.isalpha() and code.isupper() for code in CURRENCIES)
    assert 170 < len(CURRENCIES) < 185


@pytest.mark.parametrize(
    "changes",
    [
        {"transaction_id": ""},
        {"transaction_id": "x" * (limits.TRANSACTION_ID_CHARS + 1)},
        {"transaction_id": 5},
        {"advertiser_id": 0},
        {"advertiser_id": 2**63},
        {"advertiser_id": "3"},
        {"kind": "chargeback"},
        {"kind": "Charge"},
        {"kind": None},
        {"occurred_at": "2026-01-02T03:04:05"},
        {"occurred_at": "2300-01-01T00:00:00Z"},
        {"method": "x" * (limits.METHOD_CHARS + 1)},
        {"method": 1},
        {"reference": "x" * (limits.REFERENCE_CHARS + 1)},
    ],
    ids=lambda changes: next(f"{name}={value!s:.30}" for name, value in changes.items()),
)
def test_a_payment_with_a_value_that_no_column_takes_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(**changes)


@pytest.mark.parametrize("name", sorted(PAYMENT))
def test_a_payment_without_a_required_field_is_refused(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=name):
        decode(**{name: MISSING})


@pytest.mark.parametrize("name", ["method", "reference"])
@pytest.mark.parametrize("value", [MISSING, None])
def test_what_is_optional_may_be_missing_or_null(name: str, value: object) -> None:
    assert getattr(decode(**{name: value}), name) is None


def test_every_field_of_the_event_has_its_column() -> None:
    columns = {field.column for field in Payment._meta.concrete_fields}

    assert {field.name for field in msgspec.structs.fields(PaymentEvent)} <= columns
