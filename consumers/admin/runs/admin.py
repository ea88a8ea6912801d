"""Retry runs: the list, and the addresses of their pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html

from consumers.admin.readonly import LookOnly
from consumers.admin.runs.page import describe, live_view, order_view
from consumers.admin.runs.start import start_view
from consumers.admin.visible import visible
from consumers.models import RetryRun

if TYPE_CHECKING:
    RetryRunModelAdmin = admin.ModelAdmin[RetryRun]
else:
    RetryRunModelAdmin = admin.ModelAdmin


@admin.register(RetryRun)
class RetryRunAdmin(LookOnly, RetryRunModelAdmin):
    """What was retried, on whose word, and what it came to. A run is started from the failed records."""

    list_display = (
        "shown_name",
        "shown_state",
        "shown_progress",
        "shown_reason",
        "by",
        "created_at",
    )
    list_display_links = ("shown_name",)
    list_filter = ("state",)
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    change_form_template = "admin/consumers/retryrun/change_form.html"
    fields = ("state",)  # the page has a layout of its own, in its template

    class Media:
        css = {"all": ("consumers/failures.css", "consumers/mending.css")}  # noqa: RUF012 - Django's own shape

    def get_queryset(self, request: HttpRequest) -> QuerySet[RetryRun]:
        return super().get_queryset(request).select_related("progress")

    def has_view_permission(self, request: HttpRequest, obj: RetryRun | None = None) -> bool:
        """Who may see the failed records may see what is done about them."""
        seeing = ("view_retryrun", "view_failedrecord", "reprocess_failedrecord")
        return any(request.user.has_perm(f"consumers.{name}") for name in seeing)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("start/", wrap(self._start), name="consumers_retryrun_start"),
            path("<int:pk>/live/", wrap(self._live), name="consumers_retryrun_live"),
            path("<int:pk>/order/", wrap(self._order), name="consumers_retryrun_order"),
            *super().get_urls(),
        ]

    def _start(self, request: HttpRequest) -> HttpResponse:
        return start_view(self, request)

    def _live(self, request: HttpRequest, pk: int) -> HttpResponse:
        return live_view(request, self, pk)

    def _order(self, request: HttpRequest, pk: int) -> HttpResponse:
        return order_view(request, self, pk)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().change_view(request, object_id, form_url, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            run = response.context_data["original"]
            response.context_data |= describe(run, request) | {"title": f"Retry run {run.pk}", "subtitle": None}
        return response

    @admin.display(description="run", ordering="id")
    def shown_name(self, run: RetryRun) -> str:
        return f"Run {run.pk}"

    @admin.display(description="state", ordering="state")
    def shown_state(self, run: RetryRun) -> str:
        return format_html('<span class="mending-state mending-{0}">{0}</span>', run.state)

    @admin.display(description="progress")
    def shown_progress(self, run: RetryRun) -> str:
        progress = run.progress
        about = "" if progress.is_counted else "about "
        return f"{progress.succeeded:,} succeeded, {progress.failed_again:,} failed again, of {about}{progress.total:,}"

    @admin.display(description="why")
    def shown_reason(self, run: RetryRun) -> str:
        return _short(visible(run.reason))


def _short(text: str, most: int = 120) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
