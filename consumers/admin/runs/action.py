"""Retry, as an action of the list of failed records: leads to the page that starts a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from consumers.admin.digits import is_number
from consumers.admin.runs.query import MOST_IDS

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.db.models import QuerySet

    from consumers.models import FailedRecord


@admin.action(description="Retry selected failed records as a run…", permissions=["reprocess"])
def retry(
    model_admin: ModelAdmin[FailedRecord], request: HttpRequest, queryset: QuerySet[FailedRecord]
) -> HttpResponse | None:
    """The chosen records by their ids; "all that match" by the list's filter, so that any number can be retried."""
    start = reverse("admin:consumers_retryrun_start")
    if "1" in request.POST.getlist("select_across"):
        return HttpResponseRedirect(f"{start}?{request.GET.urlencode()}")
    ids = list(filter(is_number, request.POST.getlist(ACTION_CHECKBOX_NAME)))
    if not ids or len(ids) > MOST_IDS:
        model_admin.message_user(request, f"Choose between one and {MOST_IDS:,} records.", messages.WARNING)
        return None
    return HttpResponseRedirect(f"{start}?{urlencode({'ids': ','.join(ids)})}")
