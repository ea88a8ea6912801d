"""Admin pages of the advertising app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ads.ingested_admin import IngestedAdmin
from ads.models import Advertiser, Campaign, Click, Impression

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


def list_link(page: str, text: str, **filters: object) -> SafeString:
    """A link to an admin list (such as "ads_click"), narrowed by filters."""
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return format_html('<a href="{}?{}">{}</a>', reverse(f"admin:{page}_changelist"), query, text)


class KeptAdmin(ModelAdmin):
    """Edited by hand, but never deleted: the check of what refers to it would read tables of millions of rows."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Advertiser)
class AdvertiserAdmin(KeptAdmin):
    list_display = ("name", "id", "is_active", "campaigns", "payments", "created_at")
    list_filter = ("is_active",)
    search_fields = ("name", "=id")  # a table of thousands, not of millions: a part of the name will do
    readonly_fields = ("created_at",)

    @admin.display(description="campaigns")
    def campaigns(self, advertiser: Advertiser) -> SafeString:
        return list_link("ads_campaign", "campaigns", advertiser__id__exact=advertiser.pk)

    @admin.display(description="payments")
    def payments(self, advertiser: Advertiser) -> SafeString:
        return list_link("payments_payment", "payments", advertiser__id__exact=advertiser.pk)


@admin.register(Campaign)
class CampaignAdmin(KeptAdmin):
    list_display = ("name", "id", "advertiser", "bid", "budget", "is_active", "starts_on", "ends_on", "events")
    list_select_related = ("advertiser",)
    list_filter = ("is_active",)
    search_fields = ("name", "=id")
    autocomplete_fields = ("advertiser",)
    readonly_fields = ("created_at",)

    @admin.display(description="events")
    def events(self, campaign: Campaign) -> SafeString:
        clicks = list_link("ads_click", "clicks", campaign__id__exact=campaign.pk)
        impressions = list_link("ads_impression", "impressions", campaign__id__exact=campaign.pk)
        return format_html("{} · {}", clicks, impressions)


@admin.register(Impression)
class ImpressionAdmin(IngestedAdmin):
    list_display = ("event_id", "campaign", "occurred_at", "placement", "received_at")
    list_select_related = ("campaign",)
    list_filter = ("occurred_at",)
    sortable_by = ("occurred_at",)  # by any other column the whole table would be sorted
    exact_search = ("event_id", "campaign")
    search_help_text = "an event id or a campaign id"


@admin.register(Click)
class ClickAdmin(IngestedAdmin):
    list_display = ("event_id", "campaign", "advertiser", "occurred_at", "cost", "billable", "received_at")
    list_select_related = ("campaign", "advertiser")
    list_filter = ("occurred_at",)  # not billable: no index has it
    sortable_by = ("occurred_at",)
    exact_search = ("event_id", "campaign")
    search_help_text = "an event id or a campaign id"
