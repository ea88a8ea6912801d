"""The failure inbox: kinds of failures, one line each, and a page on each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from consumers.admin import group_filters as filters
from consumers.admin.group_acts import ACTS, act_on
from consumers.admin.group_messages import messages_of
from consumers.admin.group_page import describe_group
from consumers.admin.group_text import in_short, places_in_short, records_of, status_badge
from consumers.admin.matrix import FEW, HEADINGS, matrix
from consumers.admin.paging import EstimatedCountPaginator
from consumers.admin.readonly import LookOnly
from consumers.admin.sparkline import LIST_STEP, empty, sparkline, trends
from consumers.admin.visible import visible
from consumers.inbox.rollup import roll_up
from consumers.models import FailedRecord, FailureGroup
from consumers.settings import engine_settings

if TYPE_CHECKING:
    GroupModelAdmin = admin.ModelAdmin[FailureGroup]
else:
    GroupModelAdmin = admin.ModelAdmin

AT_A_GLANCE = 1_000
"""Deltas that a page takes up before it is shown; the rest is left to the consuming processes."""


class GroupList(ChangeList):
    """A page of groups, with what is fetched for all of them at once: trends, and what their messages may show."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        now = timezone.now()
        found = trends([group.pk for group in self.result_list], now, LIST_STEP)
        readable = messages_of(self.result_list)
        for group in self.result_list:
            group.trend = found.get(group.pk) or empty(LIST_STEP)
            group.readable = readable[group.pk]


@admin.register(FailureGroup)
class FailureGroupAdmin(LookOnly, GroupModelAdmin):
    """Groups change by what happens to their records, and by what people do on their pages."""

    list_display = ("shown_status", "what", "shown_pending", "trend", "shown_seen")
    list_display_links = None
    list_filter = (
        filters.GroupStatusFilter,
        filters.GroupReasonFilter,
        filters.GroupTopicFilter,
        filters.GroupConsumerFilter,
        filters.AssignedFilter,
    )
    search_fields = ("message", "reason", "exception", "fingerprint", "consumer")
    search_help_text = "In the message, reason, exception, fingerprint and consumer of the groups."
    list_per_page = 50
    paginator = EstimatedCountPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = ("acknowledge",)
    change_list_template = "admin/consumers/failuregroup/change_list.html"
    change_form_template = "admin/consumers/failuregroup/change_form.html"
    fields = ("status",)  # the page has a layout of its own, in its template

    class Media:
        css = {"all": ("consumers/failures.css", "consumers/inbox.css")}  # noqa: RUF012 - Django's own shape

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return GroupList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        self._take_up(request)
        rows = matrix(timezone.now())
        more = {
            "title": "Failure inbox",
            "matrix": rows,
            "matrix_headings": HEADINGS,
            "matrix_open": not request.GET and len(rows) <= FEW,
        }
        return super().changelist_view(request, more | (extra_context or {}))

    def _take_up(self, request: HttpRequest) -> None:
        """Bring the numbers up to date, for who may see them: Django itself asks only when the page is put together."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        roll_up(engine_settings().database, AT_A_GLANCE)

    # ---- the columns ------------------------------------------------------------------------------------------------

    @admin.display(description="status", ordering="status")
    def shown_status(self, group: FailureGroup) -> SafeString:
        assigned = format_html('<span class="inbox-line">{}</span>', visible(group.assigned_to))
        return format_html("{}{}", status_badge(group), assigned if group.assigned_to else "")

    @admin.display(description="what fails", ordering="reason")
    def what(self, group: Any) -> SafeString:
        return format_html(
            '<a class="inbox-reason" href="{}">{}</a> <span class="failures-quiet">{} {}</span>'
            '<span class="inbox-message">{}</span><span class="inbox-line">{}{}</span>',
            reverse("admin:consumers_failuregroup_change", args=[group.pk]),
            visible(group.reason),
            visible(group.consumer),
            visible(group.exception),
            group.readable,
            places_in_short(group),
            _example(group),
        )

    @admin.display(description="pending", ordering="pending")
    def shown_pending(self, group: FailureGroup) -> SafeString:
        return format_html(
            '<a class="inbox-number" href="{}">{}</a> <a class="inbox-line" href="{}">of {}</a>',
            records_of(group, status=FailedRecord.Status.PENDING),
            f"{group.pending:,}",
            records_of(group),
            f"{group.count:,}",
        )

    @admin.display(description="7 days")
    def trend(self, group: Any) -> SafeString:
        return sparkline(group.trend, LIST_STEP, width=105, height=24)

    @admin.display(description="last seen", ordering="last_seen")
    def shown_seen(self, group: FailureGroup) -> SafeString:
        line = '<span title="{}">{}</span><span class="inbox-line" title="{}">since {}</span>'
        since, day = in_short(group.first_seen)
        return format_html(line, *in_short(group.last_seen), since, day[:10])

    # ---- who may do what --------------------------------------------------------------------------------------------

    def has_assign_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consumers.assign_failuregroup")

    @admin.action(description="Acknowledge selected groups", permissions=["assign"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[FailureGroup]) -> None:
        chosen = queryset.filter(status__in=[FailureGroup.Status.NEW, FailureGroup.Status.REGRESSED])
        ids = list(chosen.order_by("pk").values_list("pk", flat=True)[:1_000])
        done = [pk for pk in ids if ACTS["acknowledge"].do(request, pk, {})]
        text = f"{len(done):,} acknowledged." if done else "None of these groups is new or has come back."
        self.message_user(request, text, messages.SUCCESS if done else messages.WARNING)

    # ---- one group's page -------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        act = self.admin_site.admin_view(self.act_view)
        return [path("<int:pk>/act/", act, name="consumers_failuregroup_act"), *super().get_urls()]

    def act_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return act_on(self, request, pk)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self._take_up(request)
        response = super().change_view(request, object_id, form_url, extra_context)
        # The context holds the group that Django has fetched and whose permissions it has checked.
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            response.context_data |= describe_group(request, response.context_data["original"])
        return response


def _example(group: FailureGroup) -> SafeString | str:
    if group.example_id is None:
        return ""
    address = reverse("admin:consumers_failedrecord_change", args=[group.example_id])
    link = ' <a href="{}" class="inbox-example" aria-label="example of {}">example</a>'
    return format_html(link, address, visible(group.reason))
