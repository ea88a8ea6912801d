"""The partition ledger: how far each consumer group has come, where it was moved, and which offsets held nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html

from consumers.admin.readonly import LookOnly
from consumers.models import OffsetGap, PartitionLedger, PositionMove

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Model]
else:
    AnyModelAdmin = admin.ModelAdmin


class LedgerPagesAdmin(LookOnly, AnyModelAdmin):
    """Pages that show what the engine keeps; nobody changes it by hand."""

    list_filter = ("group", "topic")
    search_fields = ("group", "topic")
    list_per_page = 100
    show_facets = admin.ShowFacets.NEVER


@admin.register(PartitionLedger)
class PartitionLedgerAdmin(LedgerPagesAdmin):
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
        "missing",
        "epoch",
        "updated_at",
    )

    @admin.display(description="failed", ordering="failed")
    def failed_records(self, row: PartitionLedger) -> str:
        if not row.failed:
            return "0"
        address = reverse("admin:consumers_failedrecord_changelist", query={"topic": row.topic})
        return format_html('<a href="{}">{}</a>', address, row.failed)


@admin.register(PositionMove)
class PositionMoveAdmin(LedgerPagesAdmin):
    """Who moved which group, when, and from where to where."""

    list_display = ("moved_at", "moved_by", "group", "topic", "partition", "from_offset", "to_offset", "passed_over")


@admin.register(OffsetGap)
class OffsetGapAdmin(LedgerPagesAdmin):
    """Which offsets held no record when it was their turn; `manage.py reconcile` judges them."""

    list_display = ("noticed_at", "group", "topic", "partition", "start", "end")
