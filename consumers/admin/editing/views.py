"""The pages of an edit: the form, then the diff with what would happen, then it is stored and the record is retried."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.http import require_POST

from consumers import registry
from consumers.admin.actionlog import log_each
from consumers.admin.editing.check import refusal_of
from consumers.admin.editing.compose import NotJson
from consumers.admin.editing.diff import shown, unified
from consumers.admin.editing.keep import CannotEdit, Change, keep_edit, try_edit, withdraw
from consumers.admin.editing.session import PERMISSION, Editing, begin
from consumers.admin.payload import Head, parse, present_text, redaction_seen
from consumers.admin.visible import visible
from consumers.core.errors import ConsumerError
from consumers.models import FailedRecord

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin


def edit_view(request: HttpRequest, model_admin: ModelAdmin[FailedRecord], record: FailedRecord) -> HttpResponse:
    """GET asks; POST shows what would change, and stores it once that was confirmed."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    try:
        editing = begin(request, record)
        if request.method != "POST":
            return _page(request, model_admin, editing)
        return _posted(request, model_admin, editing)
    except CannotEdit as error:
        messages.error(request, f"Nothing was changed: {error}.")
        return _back(record)


@require_POST
def withdraw_view(request: HttpRequest, record: FailedRecord) -> HttpResponse:
    """Take the edit in force back."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    try:
        done = withdraw(record, request.user.get_username())
    except CannotEdit as error:
        messages.error(request, f"Nothing was changed: {error}.")
        return _back(record)
    if done:
        log_each(request.user, FailedRecord.objects.filter(pk=record.pk), "Edit withdrawn")
    text = "The edit is withdrawn: the value before it will be processed." if done else "There is no edit to withdraw."
    messages.info(request, text)
    return _back(record)


def _posted(request: HttpRequest, model_admin: ModelAdmin[FailedRecord], editing: Editing) -> HttpResponse:
    value = _checked(editing)
    if value is None or "back" in request.POST:
        return _page(request, model_admin, editing)
    diff = unified(editing.base.value, value, editing.redaction)
    if not diff:
        editing.form.add_error(None, "Nothing was changed: to retry the record as it is, reprocess it.")
        return _page(request, model_admin, editing)
    change = Change(value, diff, editing.form.cleaned_data["reason"], request.user.get_username())
    if constant_time_compare(request.POST.get("confirmed", ""), _seal(editing, change)):
        return _store(request, editing, change)
    return _preview(request, model_admin, editing, change)


def _checked(editing: Editing) -> bytes | None:
    """The value, if the consumer takes it; its errors are put into the form."""
    if not editing.form.is_valid():
        return None
    try:
        value = editing.value()
    except NotJson as error:
        editing.form.refuse(error.field, present_text(str(error), editing.redaction))
        return None
    refusal = refusal_of(registry.get(editing.record.consumer), value)
    if refusal is not None:
        editing.form.refuse(refusal.field, present_text(refusal.text, editing.redaction))
        return None
    return value


def _seal(editing: Editing, change: Change) -> str:
    """Ties a confirmation to the very bytes that were shown, and to the value that they replace."""
    text = b"\0".join((str(editing.record.pk).encode(), editing.base.state.encode(), change.value))
    return salted_hmac("consumers.failure-edit", text).hexdigest()


def _store(request: HttpRequest, editing: Editing, change: Change) -> HttpResponse:
    """Store the edit, and retry the record with it at once."""
    from consumers.reprocess import Selection, reprocess  # loads the whole engine

    record = editing.record
    keep_edit(record, change, editing.base)
    log_each(request.user, FailedRecord.objects.filter(pk=record.pk), f"Edited: {change.reason}")
    try:
        result = reprocess(Selection(ids=(record.pk,)), by=change.by)
    except Exception as error:  # noqa: BLE001  (the consumer's own code)
        what = "" if isinstance(error, ConsumerError) else f"the consumer raised {type(error).__name__}: "
        text = _masked(editing, change, str(error))
        messages.error(request, f"The edit is stored, but could not be processed: {what}{text}")
        return _back(record)
    if result.resolved:
        messages.success(request, "The edit is stored and the record is resolved with it.")
    elif result.failed:
        messages.warning(
            request, f"The edit is stored; with it the record failed again: {', '.join(result.by_reason)}."
        )
    else:
        messages.warning(
            request, "The edit is stored; the record is being processed elsewhere, or not pending any more."
        )
    return _back(record)


def _masked(editing: Editing, change: Change, text: str) -> str:
    """What the consumer's own code says, without what it redacts of the value before and of the one after."""
    return present_text(text, redaction_seen(editing.redaction, parse(Head.of(change.value))))


# ---- pages ----------------------------------------------------------------------------------------------------------


def _preview(
    request: HttpRequest, model_admin: ModelAdmin[FailedRecord], editing: Editing, change: Change
) -> HttpResponse:
    trial = try_edit(editing.record, change)
    more = {
        "diff": shown(change.diff),
        "trial": replace(trial, error=_masked(editing, change, trial.error)),
        "confirmed": _seal(editing, change),
        "reason": visible(change.reason),
    }
    return _answer(request, model_admin, editing, "edit_preview.html", more)


def _page(request: HttpRequest, model_admin: ModelAdmin[FailedRecord], editing: Editing) -> HttpResponse:
    record = editing.record
    more = {
        "failure": present_text(record.message or record.reason, editing.redaction),
        "is_edited": editing.base.edit is not None,
        "size": len(editing.base.value),
    }
    return _answer(request, model_admin, editing, "edit_form.html", more)


def _answer(
    request: HttpRequest,
    model_admin: ModelAdmin[FailedRecord],
    editing: Editing,
    template: str,
    more: dict[str, Any],
) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Edit and retry",
        "subtitle": str(editing.record),
        "opts": FailedRecord._meta,
        "media": model_admin.media,
        "original": editing.record,
        "form": editing.form,
        **more,
    }
    response = TemplateResponse(request, f"admin/consumers/failedrecord/{template}", context)
    add_never_cache_headers(response)
    return response


def _back(record: FailedRecord) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:consumers_failedrecord_change", args=[record.pk]))
