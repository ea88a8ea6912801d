"""What advertisers paid and got back, and what that leaves each of them with."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.utils import timezone

from ads.models import Advertiser
from consumers.api import IngestManager, IngestModel
from payments import limits


def _currency_check(name: str) -> models.CheckConstraint:
    """The shape only: the list of codes changes, and a row must not become invalid by that."""
    return models.CheckConstraint(name=name, condition=models.Q(currency__regex=r"^[A-Z]{3}$"))


class Payment(IngestModel):
    """A charge or a refund; `amount` is positive either way, in units of `currency`.

    The sender's transaction id is the primary key: one unique index is the idempotency key too. (Django would add a
    second one for LIKE on that column; the second migration drops it, for nobody searches by a part of an id.)
    """

    class Kind(models.TextChoices):
        CHARGE = "charge", "charge"
        REFUND = "refund", "refund"

    transaction_id = models.CharField(primary_key=True, max_length=limits.TRANSACTION_ID_CHARS)
    # No index of its own: (advertiser, occurred_at) below serves look-ups by advertiser.
    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, db_index=False, related_name="payments")
    kind = models.CharField(max_length=6, choices=Kind.choices)
    amount = models.DecimalField(
        max_digits=limits.AMOUNT_WHOLE_DIGITS + limits.AMOUNT_PLACES, decimal_places=limits.AMOUNT_PLACES
    )
    currency = models.CharField(max_length=limits.CURRENCY_CHARS)
    occurred_at = models.DateTimeField()
    method = models.CharField(max_length=limits.METHOD_CHARS, blank=True, default="")
    reference = models.CharField(max_length=limits.REFERENCE_CHARS, blank=True, default="")
    received_at = models.DateTimeField(default=timezone.now)

    objects = IngestManager()

    class Meta:
        ordering: ClassVar = ["-occurred_at"]
        constraints: ClassVar = [
            models.CheckConstraint(name="payments_payment_amount_positive", condition=models.Q(amount__gt=0)),
            models.CheckConstraint(
                name="payments_payment_kind_known", condition=models.Q(kind__in=["charge", "refund"])
            ),
            _currency_check("payments_payment_currency_code"),
        ]
        indexes: ClassVar = [
            # The admin's list, newest first, and its date filter.
            models.Index(fields=["occurred_at"], name="payments_payment_time"),
            # An advertiser's statement, and the proof that its balance is the sum of its payments. Left out: kind and
            # currency, which have few values, and reference, which nobody looks up by.
            models.Index(fields=["advertiser", "occurred_at"], name="payments_payment_statement"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.transaction_id}: {self.amount} {self.currency}"


class Balance(models.Model):
    """Charges less refunds of one advertiser in one currency; kept by the payments consumer, never by hand."""

    # No index of its own: the unique one begins with it.
    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, db_index=False, related_name="balances")
    currency = models.CharField(max_length=limits.CURRENCY_CHARS)
    amount = models.DecimalField(
        max_digits=limits.BALANCE_WHOLE_DIGITS + limits.AMOUNT_PLACES,
        decimal_places=limits.AMOUNT_PLACES,
        default=Decimal(0),
    )

    class Meta:
        ordering: ClassVar = ["advertiser_id", "currency"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["advertiser", "currency"], name="payments_balance_account"),
            _currency_check("payments_balance_currency_code"),
        ]

    def __str__(self) -> str:
        return f"advertiser {self.advertiser_id}: {self.amount} {self.currency}"
