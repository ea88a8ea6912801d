"""Balances: how they are changed, and how they are proved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django.db import connections, router
from django.db.models import Case, DecimalField, F, Sum, When

from payments.models import Balance, Payment

Account = tuple[int, str]
"""An advertiser's id and a currency code."""

# Rows are locked in the order of the SELECT, so two writers with accounts in common wait for each other but never in a
# circle. ON CONFLICT adds to what the row holds at that moment, not to what was read before.
_ADD = """
    INSERT INTO payments_balance (advertiser_id, currency, amount)
    SELECT * FROM unnest(%s::bigint[], %s::varchar[], %s::numeric[]) AS change (advertiser_id, currency, amount)
    ORDER BY advertiser_id, currency COLLATE "C"
    ON CONFLICT (advertiser_id, currency) DO UPDATE SET amount = payments_balance.amount + excluded.amount
"""


def changes_of(payments: Iterable[Any]) -> dict[Account, Decimal]:
    """What payments, instances or rows, do to the accounts: charges add, refunds subtract, in exact decimals."""
    changes: defaultdict[Account, Decimal] = defaultdict(Decimal)
    charge = Payment.Kind.CHARGE.value
    for payment in payments:
        change = payment.amount if payment.kind == charge else -payment.amount
        changes[payment.advertiser_id, payment.currency] += change
    return dict(changes)


def add_to_balances(changes: Mapping[Account, Decimal]) -> None:
    """Apply changes in one statement, inside the caller's transaction; accounts that do not exist yet are opened.

    Raises:
        django.db.IntegrityError: there is no such advertiser (at the latest when the transaction commits).
        django.db.DataError: a balance outgrows its column.
    """
    if not changes:
        return
    advertisers, currencies = zip(*changes, strict=True)
    with connections[router.db_for_write(Balance)].cursor() as cursor:
        cursor.execute(_ADD, [list(advertisers), list(currencies), list(changes.values())])


def unbalanced() -> dict[Account, tuple[Decimal, Decimal]]:
    """Accounts whose balance is not the sum of their payments: (balance, sum). Reads both tables whole."""
    charge = When(kind=Payment.Kind.CHARGE, then=F("amount"))
    signed = Case(charge, default=-F("amount"), output_field=DecimalField())
    sums = Payment.objects.order_by().values_list("advertiser_id", "currency").annotate(total=Sum(signed))
    expected = {(advertiser, currency): total for advertiser, currency, total in sums}
    rows = Balance.objects.values_list("advertiser_id", "currency", "amount")
    kept = {(advertiser, currency): amount for advertiser, currency, amount in rows}
    pairs = {key: (kept.get(key, Decimal(0)), expected.get(key, Decimal(0))) for key in kept | expected}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
