"""The UCI "Online Retail" invoices as our payments and their payers. `demo/data/ATTRIBUTION.md` explains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

Row = dict[str, Any]

INVOICES = 10_000
"""The first so many in the order of the source, which is that of time."""
SHOP_TIME = ZoneInfo("Europe/London")
"""The source's times have no zone; the shop is British."""
LATE_AFTER = timedelta(days=2)
"""Customers whose first invoice lies in so many last days are missing from the seed at first."""


class Invoice(NamedTuple):
    """One invoice: what its lines add up to, negative for a credit note; `customer` None where it names none."""

    number: str
    at: datetime
    total: Decimal
    customer: int | None
    country: str
    lines: int
    has_doubled_lines: bool

    @property
    def is_credit_note(self) -> bool:
        return self.number.startswith("C")


def retail_invoices(table: Iterable[Mapping[str, str]]) -> list[Invoice]:
    """The first invoices of the table, read in order: lines that lie apart make two of one invoice (542806 is one)."""
    invoices: list[Invoice] = []
    for number, lines in groupby(table, key=lambda line: line["InvoiceNo"]):
        if len(invoices) == INVOICES:
            break
        invoices.append(_invoice(number, list(lines)))
    return invoices


def _invoice(number: str, lines: list[Mapping[str, str]]) -> Invoice:
    first = lines[0]
    return Invoice(
        number=number,
        at=datetime.fromisoformat(first["InvoiceDate"]).replace(tzinfo=SHOP_TIME),
        total=sum((Decimal(line["Quantity"]) * Decimal(line["UnitPrice"]) for line in lines), Decimal(0)),
        customer=int(float(first["CustomerID"])) if first["CustomerID"] else None,
        country=first["Country"],
        lines=len(lines),
        has_doubled_lines=len({tuple(line.values()) for line in lines}) < len(lines),
    )


def retail_events(invoices: Iterable[Invoice]) -> Iterator[Row]:
    """Payments in our wire format; an invoice with doubled lines is sent twice."""
    for invoice in invoices:
        event = payment(invoice)
        yield event
        if invoice.has_doubled_lines:
            yield event


def payment(invoice: Invoice) -> Row:
    """The payment of one invoice, without `advertiser_id` where the source names no customer."""
    amount = -invoice.total if invoice.is_credit_note else invoice.total
    payer = {} if invoice.customer is None else {"advertiser_id": invoice.customer}
    return {
        "transaction_id": invoice.number,
        **payer,
        "kind": "refund" if invoice.is_credit_note else "charge",
        "amount": f"{amount:.4f}".removesuffix("00"),
        "currency": "GBP",
        "occurred_at": invoice.at.isoformat(),
        "reference": f"{invoice.country}, {invoice.lines} {'line' if invoice.lines == 1 else 'lines'}",
    }


def retail_advertisers(invoices: list[Invoice]) -> list[Row]:
    """One for each customer, by number: the source has no names."""
    first: dict[int, Invoice] = {}
    for invoice in invoices:
        if invoice.customer is not None:
            first.setdefault(invoice.customer, invoice)
    cut = invoices[-1].at - LATE_AFTER
    return [_advertiser(number, first[number], is_late=first[number].at > cut) for number in sorted(first)]


def _advertiser(number: int, invoice: Invoice, *, is_late: bool) -> Row:
    entry: Row = {"id": number, "name": f"Customer {number}, {invoice.country}"}
    return entry | ({"late": True} if is_late else {})
