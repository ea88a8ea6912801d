"""The failed records: a list that stays fast with millions of them, and a page on each."""

from __future__ import annotations

from copy import copy
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.cache import add_never_cache_headers
from django.utils.html import format_html
from django.utils.http import urlencode

from consumers.admin import actions, filters
from consumers.admin.actionlog import note_reveal
from consumers.admin.detail import describe
from consumers.admin.editing.session import PERMISSION, SENSITIVE, why_not
from consumers.admin.editing.views import edit_view, withdraw_view
from consumers.admin.exporting.action import export_csv, export_ndjson
from consumers.admin.paging import EstimatedCountPaginator
from consumers.admin.runs.action import retry
from consumers.admin.search import HELP, search
from consumers.admin.visible import moment, visible
from consumers.inbox.ending import delete_record
from consumers.models import FailedRecord

if TYPE_CHECKING:
    FailedRecordModelAdmin = admin.ModelAdmin[FailedRecord]
else:
    FailedRecordModelAdmin = admin.ModelAdmin

LARGE = ("key", "value", "headers", "message", "traceback")
"""Columns that are fetched for one record at a time, and no further than they are shown."""


@admin.register(FailedRecord)
class FailedRecordAdmin(FailedRecordModelAdmin):
    """Read-only: what happened to a record changes only by processing it again or by giving it up."""

    list_display = (
        "shown_reason",
        "shown_status",
        "topic",
        "partition",
        "offset",
        "first_failed",
        "last_failed",
        "attempts",
        "shown_fingerprint",
    )
    list_filter = (
        filters.StatusFilter,
        filters.FailedSinceFilter,
        filters.FingerprintFilter,
        filters.ReasonFilter,
        filters.TopicFilter,
        filters.ConsumerFilter,
        filters.RunFilter,
    )
    search_fields = ("offset",)  # makes the box appear; what it does is in consumers.admin.search
    search_help_text = HELP
    sortable_by = ()  # by id only: the other columns have no index that a list of millions could be sorted by
    list_per_page = 50
    paginator = EstimatedCountPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = (actions.reprocess, retry, actions.discard, export_ndjson, export_csv)
    change_form_template = "admin/consumers/failedrecord/change_form.html"

    fields = ("status",)  # the page has a layout of its own, in its template

    class Media:
        css = {"all": ("consumers/failures.css", "consumers/mending.css")}  # noqa: RUF012 - Django's own shape

    def get_queryset(self, request: HttpRequest) -> QuerySet[FailedRecord]:
        return super().get_queryset(request).defer(*LARGE)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[FailedRecord], search_term: str
    ) -> tuple[QuerySet[FailedRecord], bool]:
        return (search(queryset, search_term) if search_term.strip() else queryset), False

    @admin.display(description="reason")
    def shown_reason(self, record: FailedRecord) -> str:
        return visible(record.reason)

    @admin.display(description="first failed")
    def first_failed(self, record: FailedRecord) -> str:
        return _two_lines(record.first_failed_at)

    @admin.display(description="last failed")
    def last_failed(self, record: FailedRecord) -> str:
        return _two_lines(record.last_failed_at)

    @admin.display(description="status")
    def shown_status(self, record: FailedRecord) -> str:
        return format_html('<span class="failures-status failures-{0}">{0}</span>', record.status)

    @admin.display(description="fingerprint")
    def shown_fingerprint(self, record: FailedRecord) -> str:
        return format_html(
            '<a class="failures-code" href="?{}" title="all failures like this one">{}</a>',
            urlencode({"fingerprint": record.fingerprint}),
            visible(record.fingerprint[:8]),
        )

    # ---- who may do what --------------------------------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: FailedRecord | None = None) -> bool:
        return False

    def has_reprocess_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consumers.reprocess_failedrecord")

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consumers.export_failedrecord")

    def has_discard_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consumers.discard_failedrecord")

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without Django's bulk deletion: it loads all it deletes, payloads included. Records that nobody wants any
        more are discarded; who has the permission deletes one on its own page."""
        offered = super().get_actions(request)
        offered.pop("delete_selected", None)
        return offered

    def delete_model(self, request: HttpRequest, obj: FailedRecord) -> None:
        delete_record(obj)

    # ---- one record's page ------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/reveal/", wrap(self._reveal), name="consumers_failedrecord_reveal"),
            path("<int:pk>/edit/", wrap(self._edit), name="consumers_failedrecord_edit"),
            path("<int:pk>/edit/withdraw/", wrap(self._withdraw), name="consumers_failedrecord_withdraw"),
            *super().get_urls(),
        ]

    def _edit(self, request: HttpRequest, pk: int) -> HttpResponse:
        return edit_view(request, self, self._record(request, pk))

    def _withdraw(self, request: HttpRequest, pk: int) -> HttpResponse:
        return withdraw_view(request, self._record(request, pk))

    def _reveal(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The record's page with what is redacted, once that was recorded. Each look is a POST of its own."""
        record = self._record(request, pk)
        if not request.user.has_perm(SENSITIVE):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        note_reveal(request.user, record)
        look = copy(request)
        look.method = "GET"
        response = self.change_view(look, str(pk), extra_context={"revealed": True})
        add_never_cache_headers(response)
        return response

    def _record(self, request: HttpRequest, pk: int) -> FailedRecord:
        if not self.has_view_permission(request):
            raise PermissionDenied
        record = self.get_object(request, str(pk))
        if record is None:
            raise Http404(f"there is no failed record {pk}")
        return record

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().change_view(request, object_id, form_url, extra_context)
        # The context holds the record that Django has fetched and whose permissions it has checked.
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            reveal = bool(extra_context and extra_context.get("revealed"))
            response.context_data |= self._described(request, response.context_data["original"], reveal=reveal)
        return response

    def _described(self, request: HttpRequest, record: FailedRecord, *, reveal: bool) -> dict[str, Any]:
        return {
            "record": describe(record, reveal=reveal),
            "alike": reverse("admin:consumers_failedrecord_changelist", query={"fingerprint": record.fingerprint}),
            "pending": record.status == FailedRecord.Status.PENDING,
            "may_reprocess": self.has_reprocess_permission(request),
            "may_discard": self.has_discard_permission(request),
            "may_edit": request.user.has_perm(PERMISSION),
            "may_reveal": request.user.has_perm(SENSITIVE),
            "why_no_edit": why_not(record, request),
        }


def _two_lines(at: datetime) -> str:
    """A time for a narrow column: the day, then the hour, each unbroken; the zone in the tooltip."""
    day, hour, _ = moment(at).split(" ", 2)
    line = '<span class="failures-nowrap" title="{0}">{1}</span> <span class="failures-nowrap" title="{0}">{2}</span>'
    return format_html(line, moment(at), day, hour)
