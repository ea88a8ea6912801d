"""What people do to a group: each act is one POST, checks its permission, and leaves a note and a log entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from consumers.admin.confirmation import count_of
from consumers.admin.group_forms import ArchiveForm, AssignForm, CommentForm, DiscardGroupForm, NoForm
from consumers.inbox import groups
from consumers.inbox.ending import end_pending
from consumers.inbox.groups import Status
from consumers.inbox.trends import busiest_hour
from consumers.models import FailedRecord, FailureGroup, FailureNote

if TYPE_CHECKING:
    from django.contrib.admin.options import ModelAdmin

DISCARDED_AT_ONCE = 50_000
"""As many as are discarded within seconds, the longest that a page should take."""

Kind = FailureNote.Kind
Fields = Mapping[str, Any]
Change = Callable[[FailureGroup, Fields, str, datetime], str]
"""Changes a locked group on behalf of somebody; returns what to note, empty if there was nothing to do."""


@dataclass(frozen=True)
class Act:
    """Something that can be done to a group."""

    change: Change
    kind: FailureNote.Kind = Kind.STATUS
    form: type[forms.Form] = NoForm
    permission: str = "consumers.assign_failuregroup"

    def do(self, request: HttpRequest, pk: int, fields: Fields) -> str:
        """Do it; returns what was noted, empty if there was nothing to do."""
        by = request.user.get_username()
        with transaction.atomic():
            group = FailureGroup.objects.select_for_update(no_key=True).get(pk=pk)
            text = self.change(group, fields, by, timezone.now())
            if text:
                group.save()
                FailureNote.objects.create(group=group, by=by, kind=self.kind, text=text)
                one = FailureGroup.objects.filter(pk=pk)
                LogEntry.objects.log_actions(int(request.user.pk or 0), one, CHANGE, text, single_object=True)
        return text


def act_on(model_admin: ModelAdmin[FailureGroup], request: HttpRequest, pk: int) -> HttpResponse:
    """The address that the buttons of a group's page post to."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    act = ACTS.get(request.POST.get("do", ""))
    if act is None:
        raise Http404
    if not (model_admin.has_view_permission(request) and request.user.has_perm(act.permission)):
        raise PermissionDenied
    if not FailureGroup.objects.filter(pk=pk).exists():
        raise Http404
    form = act.form(request.POST)
    if not form.is_valid():
        said = " ".join(str(error) for errors in form.errors.values() for error in errors)
        model_admin.message_user(request, f"Nothing was done: {said}", messages.ERROR)
    elif text := act.do(request, pk, form.cleaned_data):
        model_admin.message_user(request, text, messages.SUCCESS)
    else:
        model_admin.message_user(request, "There was nothing to do: it had been done already.", messages.WARNING)
    return HttpResponseRedirect(reverse("admin:consumers_failuregroup_change", args=[pk]))


# ---- the acts -------------------------------------------------------------------------------------------------------


def _acknowledge(group: FailureGroup, fields: Fields, by: str, now: datetime) -> str:
    if group.status not in (Status.NEW, Status.REGRESSED):
        return ""
    groups.reopen(group)
    return "Acknowledged."


def _reopen(group: FailureGroup, fields: Fields, by: str, now: datetime) -> str:
    if group.status not in (Status.RESOLVED, Status.ARCHIVED):
        return ""
    groups.reopen(group)
    return "Opened again."


def _resolve(group: FailureGroup, fields: Fields, by: str, now: datetime) -> str:
    if group.status == Status.RESOLVED:
        return ""
    groups.resolve(group, by=by, now=now)
    return "Resolved: it comes back if it fails once more."


def _assign(group: FailureGroup, fields: Fields, by: str, now: datetime) -> str:
    if group.assigned_to == fields["to"]:
        return ""
    group.assigned_to = fields["to"]
    return f"Assigned to {fields['to']}." if fields["to"] else "Assigned to nobody."


def _comment(group: FailureGroup, fields: Fields, by: str, now: datetime) -> str:
    return str(fields["text"])


def _archive(group: FailureGroup, fields: Fields, by: str, now: datetime) -> str:
    until, number = fields["until"], fields["number"]
    if until == "count":
        groups.archive(group, more=number)
        return f"Archived until {number:,} more have failed."
    if until == "days":
        groups.archive(group, until=now + timedelta(days=number))
        return f"Archived until {group.muted_until:%Y-%m-%d %H:%M %Z}."
    if until == "escalates":
        groups.archive(group, rate=groups.escalation_rate(busiest_hour(group, now)))
        return f"Archived until {group.muted_rate:,} fail within an hour."
    groups.archive(group)
    return "Archived for ever."


def _discard(group: FailureGroup, fields: Fields, by: str, now: datetime) -> str:
    records = FailedRecord.objects.filter(
        consumer=group.consumer, fingerprint=group.fingerprint, pk__lte=fields["upper_id"]
    )
    oldest = records.filter(status=FailedRecord.Status.PENDING).order_by("pk").values("pk")[:DISCARDED_AT_ONCE]
    some = FailedRecord.objects.filter(pk__in=oldest)
    number = end_pending(some, FailedRecord.Status.DISCARDED, by=by, note=fields["note"]).total()
    more = " There are more: discard once more." if number == DISCARDED_AT_ONCE else ""
    return f"Discarded {count_of(number)}: {fields['note']}{more}" if number else ""


ACTS = {
    "acknowledge": Act(_acknowledge),
    "reopen": Act(_reopen),
    "resolve": Act(_resolve),
    "assign": Act(_assign, Kind.ASSIGN, AssignForm),
    "comment": Act(_comment, Kind.COMMENT, CommentForm),
    "archive": Act(_archive, Kind.STATUS, ArchiveForm),
    "discard": Act(_discard, Kind.DISCARD, DiscardGroupForm, "consumers.discard_failedrecord"),
}
