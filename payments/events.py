"""Wire format of `payments.transactions`: JSON in UTF-8, decoded and validated in one pass.

Unknown fields are ignored. An optional field may be missing or null. No text is longer than its column.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ads.fields import Id, Instant, check_instant
from payments import limits
from payments.currencies import CURRENCIES

AMOUNT_PATTERN = (
    r"\A(?=[0-9.]*[1-9])"  # more than zero
    rf"[0-9]{{1,{limits.AMOUNT_WHOLE_DIGITS}}}(\.[0-9]{{1,{limits.AMOUNT_PLACES}}})?\Z"
)
"""A decimal as a string: a JSON number has no exact value once it went through somebody's floating point."""


class PaymentEvent(msgspec.Struct, frozen=True, gc=False):
    """A charge or a refund. `amount` is positive either way, in units of `currency`, an active ISO 4217 code."""

    transaction_id: Annotated[str, Meta(min_length=1, max_length=limits.TRANSACTION_ID_CHARS)]
    advertiser_id: Id
    kind: Literal["charge", "refund"]
    amount: Annotated[str, Meta(pattern=AMOUNT_PATTERN)]
    currency: str
    occurred_at: Instant
    method: Annotated[str, Meta(max_length=limits.METHOD_CHARS)] | None = None
    reference: Annotated[str, Meta(max_length=limits.REFERENCE_CHARS)] | None = None

    def __post_init__(self) -> None:
        check_instant("occurred_at", self.occurred_at)
        if self.currency not in CURRENCIES:
            raise ValueError(f"`currency` is not an active ISO 4217 code: {self.currency[:8]!r}")
