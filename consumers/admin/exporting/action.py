"""Export, as actions of the list: what is chosen or what the filter shows, streamed, and logged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Max
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from consumers.admin.actionlog import log_together
from consumers.admin.confirmation import count_of
from consumers.admin.exporting.formats import csv_lines, ndjson
from consumers.admin.exporting.rows import export_rows

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.db.models import QuerySet

    from consumers.models import FailedRecord

Format = Callable[[Iterable[dict[str, Any]]], Iterator[str]]


@admin.action(description="Export selected failed records as NDJSON", permissions=["export"])
def export_ndjson(
    model_admin: ModelAdmin[FailedRecord], request: HttpRequest, queryset: QuerySet[FailedRecord]
) -> StreamingHttpResponse:
    """A JSON object a line."""
    return _stream(request, queryset, "ndjson", "application/x-ndjson", ndjson)


@admin.action(description="Export selected failed records as CSV", permissions=["export"])
def export_csv(
    model_admin: ModelAdmin[FailedRecord], request: HttpRequest, queryset: QuerySet[FailedRecord]
) -> StreamingHttpResponse:
    """For a spreadsheet."""
    return _stream(request, queryset, "csv", "text/csv; charset=utf-8", csv_lines)


def _stream(
    request: HttpRequest, records: QuerySet[FailedRecord], name: str, kind: str, lines: Format
) -> StreamingHttpResponse:
    up_to = records.order_by().aggregate(highest=Max("pk"))["highest"] or 0
    across = "1" in request.POST.getlist("select_across")
    chosen = count_of(len(request.POST.getlist(ACTION_CHECKBOX_NAME)))
    what = f"all that match {request.GET.urlencode() or 'no filter'}, up to id {up_to}" if across else chosen
    log_together(request.user, f"export as {name}", f"Exported as {name}: {what}")
    response = StreamingHttpResponse(lines(export_rows(records, up_to)), content_type=kind)
    stamp = timezone.now().strftime("%Y%m%dT%H%M%SZ")
    response["Content-Disposition"] = f'attachment; filename="failed-records-{stamp}.{name}"'
    response["Cache-Control"] = "no-store"
    return response
