"""Admin pages of the payments app."""

from __future__ import annotations

from django.contrib import admin

from ads.ingested_admin import IngestedAdmin
from payments.models import Balance, Payment


@admin.register(Payment)
class PaymentAdmin(IngestedAdmin):
    list_display = ("transaction_id", "advertiser", "kind", "amount", "currency", "occurred_at", "received_at")
    list_select_related = ("advertiser",)
    list_filter = ("occurred_at",)
    sortable_by = ("occurred_at",)
    exact_search = ("transaction_id", "advertiser")
    search_help_text = "a transaction id or an advertiser id"


@admin.register(Balance)
class BalanceAdmin(IngestedAdmin):
    """A few rows per advertiser: ordering by any column is cheap."""

    list_display = ("advertiser", "currency", "amount")
    list_select_related = ("advertiser",)
    ordering = ("advertiser_id", "currency")  # as the unique index has them
    exact_search = ("advertiser",)
    search_help_text = "an advertiser id"
