"""The partition ledger: how far each consumer group has come, to be looked at only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from consumers.models import PartitionLedger

if TYPE_CHECKING:
    LedgerModelAdmin = admin.ModelAdmin[PartitionLedger]
else:
    LedgerModelAdmin = admin.ModelAdmin


@admin.register(PartitionLedger)
class PartitionLedgerAdmin(LedgerModelAdmin):
    """Read-only: the engine resumes from these rows, and one changed or deleted by hand loses or doubles records.

    One row per group and partition makes a small table, so the stock filters and counts will do.
    """

    list_display = (
        "group",
        "topic",
        "partition",
        "next_offset",
        "received",
        "written",
        "duplicates",
        "skipped",
        "failed_records",
        "epoch",
        "updated_at",
    )
    list_filter = ("group", "topic")
    search_fields = ("group", "topic")
    list_per_page = 100
    show_facets = admin.ShowFacets.NEVER

    @admin.display(description="failed", ordering="failed")
    def failed_records(self, row: PartitionLedger) -> str:
        if not row.failed:
            return "0"
        address = reverse("admin:consumers_failedrecord_changelist")
        return format_html('<a href="{}?{}">{}</a>', address, urlencode({"topic": row.topic}), row.failed)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: PartitionLedger | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: PartitionLedger | None = None) -> bool:
        return False
