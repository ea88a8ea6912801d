"""What a group's page prints."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from consumers.admin.detail import describe_in_brief
from consumers.admin.digits import is_number
from consumers.admin.failures import LARGE
from consumers.admin.group_forms import ArchiveForm, AssignForm, CommentForm, DiscardGroupForm, staff
from consumers.admin.group_messages import messages_of
from consumers.admin.group_text import records_of, status_badge
from consumers.admin.sparkline import PAGE_STEP, empty, sparkline, trends
from consumers.admin.visible import moment, visible
from consumers.inbox.groups import OPEN, Status
from consumers.models import FailedRecord, FailureGroup, FailureNote

NOTES = 200
"""Notes shown; the newest."""

LACKS = {
    "assign_failuregroup": "Your account lacks the permission to work on failure groups.",
    "discard_failedrecord": "Your account lacks the permission to discard failed records.",
    "reprocess_failedrecord": "Your account lacks the permission to reprocess failed records.",
}


def describe_group(request: HttpRequest, group: FailureGroup) -> dict[str, Any]:
    """The template's variables."""
    series = trends([group.pk], timezone.now(), PAGE_STEP).get(group.pk) or empty(PAGE_STEP)
    return {
        "title": f"{visible(group.reason)} in {visible(group.consumer)}",
        "subtitle": None,
        "group": group,
        "badge": status_badge(group),
        "message": messages_of([group])[group.pk],
        "exception": visible(group.exception),
        "facts": _facts(group),
        "numbers": _numbers(group),
        "places": [(visible(topic), ", ".join(map(str, each))) for topic, each in group.places.items()],
        "trend": sparkline(series, PAGE_STEP, width=672, height=72),
        "busiest": f"{max(series):,}",
        "pending": f"{group.pending:,}",
        "example": _example(request, group),
        "notes": [_note(note) for note in group.notes.order_by("-id")[:NOTES]],
        "records_url": records_of(group),
        **_doing(request, group),
    }


def _doing(request: HttpRequest, group: FailureGroup) -> dict[str, Any]:
    """The forms, and for each permission why what needs it can't be done; empty where it can."""
    lacks = {name: "" if request.user.has_perm(f"consumers.{name}") else text for name, text in LACKS.items()}
    return {
        "act_url": reverse("admin:consumers_failuregroup_act", args=[group.pk]),
        "retry_url": reverse("admin:consumers_retryrun_start"),
        "comment_form": CommentForm(auto_id="comment_%s"),
        "assign_form": AssignForm(auto_id="assign_%s", initial={"to": group.assigned_to}),
        "archive_form": ArchiveForm(auto_id="archive_%s"),
        "discard_form": DiscardGroupForm(auto_id="discard_%s", initial={"upper_id": _newest(group)}),
        "staff": list(staff().values_list(get_user_model().USERNAME_FIELD, flat=True).order_by("pk")[:200]),
        "may_acknowledge": group.status in (Status.NEW, Status.REGRESSED),
        "is_open": group.status in OPEN,
        "lacks_assign": lacks["assign_failuregroup"],
        "lacks_discard": lacks["discard_failedrecord"] or _nothing_pending(group),
        "lacks_retry": lacks["reprocess_failedrecord"] or _nothing_pending(group),
    }


def _nothing_pending(group: FailureGroup) -> str:
    return "" if group.pending else "Nothing is pending in this group."


def _newest(group: FailureGroup) -> int:
    alike = FailedRecord.objects.filter(fingerprint=group.fingerprint).order_by("-id")
    return alike.values_list("pk", flat=True).first() or 0


def _example(request: HttpRequest, group: FailureGroup) -> dict[str, Any] | None:
    """A failure as its own page shows it to those who may not see what is redacted, and those of the group before and
    after it; None where there is none, or none to be seen."""
    if not request.user.has_perm("consumers.view_failedrecord"):
        return None
    record = _asked_for(group, request.GET.get("example", "")) or _last(group)
    if record is None:
        return None
    ids = _alike(group).values_list("pk", flat=True)
    return {
        "name": f"{record.topic}[{record.partition}]@{record.offset}",
        "url": reverse("admin:consumers_failedrecord_change", args=[record.pk]),
        "record": describe_in_brief(record),
        "previous": ids.filter(pk__lt=record.pk).order_by("-pk").first(),
        "next": ids.filter(pk__gt=record.pk).order_by("pk").first(),
    }


def _asked_for(group: FailureGroup, pk: str) -> FailedRecord | None:
    return _alike(group).filter(pk=pk).first() if is_number(pk) else None


def _last(group: FailureGroup) -> FailedRecord | None:
    """The one that the group remembers, even if it fails otherwise by now."""
    return FailedRecord.objects.filter(pk=group.example_id or 0).defer(*LARGE).first()


def _alike(group: FailureGroup) -> QuerySet[FailedRecord]:
    return FailedRecord.objects.filter(consumer=group.consumer, fingerprint=group.fingerprint).defer(*LARGE)


def _facts(group: FailureGroup) -> list[tuple[str, str]]:
    facts = [
        ("Consumer", visible(group.consumer)),
        ("First seen", moment(group.first_seen)),
        ("Last seen", moment(group.last_seen)),
        ("Assigned to", visible(group.assigned_to) or "nobody"),
        ("Came back", {0: "never", 1: "once"}.get(group.regressions, f"{group.regressions:,} times")),
    ]
    if group.status == Status.RESOLVED:
        facts.append(("Resolved", moment(group.resolved_at)))
        facts.append(("Resolved by", visible(group.resolved_by) or "nothing was pending any more"))
    return [*facts, *_archived(group)]


def _archived(group: FailureGroup) -> list[tuple[str, str]]:
    if group.status != Status.ARCHIVED:
        return []
    if group.muted_until:
        return [("Archived until", moment(group.muted_until))]
    if group.muted_count is not None:
        return [("Archived until", f"{group.muted_count:,} have failed, {group.count:,} have so far")]
    if group.muted_rate is not None:
        return [("Archived until", f"{group.muted_rate:,} fail within an hour")]
    return [("Archived", "for ever")]


def _numbers(group: FailureGroup) -> list[tuple[str, str, str]]:
    """What, how many, and the list of them."""
    by_status = [
        (status, f"{getattr(group, status):,}", records_of(group, status=status))
        for status in FailedRecord.Status.values
    ]
    return [*by_status, ("ever", f"{group.count:,}", records_of(group))]


def _note(note: FailureNote) -> dict[str, str]:
    return {
        "at": moment(note.at),
        "by": visible(note.by) or "the inbox",
        "kind": note.get_kind_display(),
        "text": visible(note.text),
    }
