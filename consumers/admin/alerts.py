"""The alerts that were raised, and whether they have arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from consumers.admin.paging import EstimatedCountPaginator
from consumers.admin.readonly import LookOnly
from consumers.admin.visible import moment, visible
from consumers.models import Alert

if TYPE_CHECKING:
    AlertModelAdmin = admin.ModelAdmin[Alert]
else:
    AlertModelAdmin = admin.ModelAdmin


@admin.register(Alert)
class AlertAdmin(LookOnly, AlertModelAdmin):
    """Looked at only: alerts are raised by what happens."""

    list_display = ("shown_at", "kind", "shown_title", "deliveries")
    list_filter = ("kind",)
    list_per_page = 50
    paginator = EstimatedCountPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    fields = ("shown_at", "kind", "shown_title", "shown_detail", "page", "deliveries")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        return super().get_queryset(request).prefetch_related("deliveries")

    @admin.display(description="at")
    def shown_at(self, alert: Alert) -> str:
        return moment(alert.at)

    @admin.display(description="what")
    def shown_title(self, alert: Alert) -> str:
        return visible(alert.title)

    @admin.display(description="details")
    def shown_detail(self, alert: Alert) -> str:
        return visible(alert.detail)

    @admin.display(description="page")
    def page(self, alert: Alert) -> SafeString | str:
        return format_html('<a href="{0}">{0}</a>', alert.path) if alert.path else "-"

    @admin.display(description="deliveries")
    def deliveries(self, alert: Alert) -> SafeString:
        lines = (
            (each.channel, each.get_state_display(), each.attempts, visible(each.error))
            for each in alert.deliveries.all()
        )
        return format_html_join("", "<div>{}: {} (attempts: {}) {}</div>", lines)
