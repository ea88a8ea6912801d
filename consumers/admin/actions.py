"""Reprocess and discard, as actions of the list. Each asks first; only pending records are touched."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from consumers.admin.actionlog import log_each, log_outcomes, log_together
from consumers.admin.choice import FROZEN, Choice, choose
from consumers.admin.confirmation import address_after, ask, confirmed, count_of
from consumers.core.errors import ConsumerError
from consumers.inbox.ending import end_pending
from consumers.models import FailedRecord

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from consumers.admin.confirmation import RecordAdmin
    from consumers.reprocess import Result

logger = logging.getLogger(__name__)

GONE = "None of these records is pending any more."


class DiscardForm(forms.Form):
    """Why the records are given up: kept with each of them."""

    note = forms.CharField(
        label="Reason for discarding", max_length=1000, widget=forms.Textarea(attrs={"rows": 3, "cols": 80})
    )


@admin.action(description="Reprocess selected failed records", permissions=["reprocess"])
def reprocess(model_admin: RecordAdmin, request: HttpRequest, queryset: QuerySet[FailedRecord]) -> HttpResponse | None:
    """Run the records through their consumers again, at most `FROZEN` of them at a time, oldest first."""
    if "confirm" not in request.POST:
        return ask(model_admin, request, "reprocess", choose(queryset, always_by_id=True))
    choice = confirmed(model_admin, request, queryset)
    if choice is None:
        return None
    ids = tuple(choice.records.values_list("pk", flat=True)[:FROZEN])
    if not ids:
        model_admin.message_user(request, GONE, messages.WARNING)
    elif (result := _run(model_admin, request, ids)) is not None:
        log_outcomes(request.user, ids)
        level = messages.WARNING if result.failed or not result.attempted else messages.SUCCESS
        model_admin.message_user(request, _result_text(result, chosen=len(choice.ids or ids)), level)
    return HttpResponseRedirect(address_after(request, choice))


def _run(model_admin: RecordAdmin, request: HttpRequest, ids: tuple[int, ...]) -> Result | None:
    """Reprocess; None if it could not be done, which the user is told."""
    from consumers.reprocess import Selection  # loads the whole engine, which nothing else here needs
    from consumers.reprocess import reprocess as reprocess_records

    try:
        return reprocess_records(Selection(ids=ids), by=request.user.get_username())
    except ConsumerError as error:
        text = f"Reprocessing stopped: {error}"
    except Exception as error:
        logger.exception("reprocessing was stopped by an error of the consumer's own code")
        text = f"Reprocessing stopped by the consumer's own code: {type(error).__name__}; its traceback is in the log"
    log_each(request.user, FailedRecord.objects.filter(pk__in=ids), text)
    model_admin.message_user(request, text, messages.ERROR)
    return None


def _result_text(result: Result, chosen: int) -> str:
    text = f"{result.attempted:,} attempted: {result.resolved:,} resolved, {result.failed:,} failed again."
    missed = chosen - result.attempted
    if missed <= 0:
        return text
    return f"{text} {count_of(missed)} skipped: settled meanwhile, or being processed elsewhere."


@admin.action(description="Discard selected failed records", permissions=["discard"])
def discard(model_admin: RecordAdmin, request: HttpRequest, queryset: QuerySet[FailedRecord]) -> HttpResponse | None:
    """Give the records up, with a reason: any number of them, in one statement."""
    if "confirm" not in request.POST:
        return ask(model_admin, request, "discard", choose(queryset, always_by_id=False), DiscardForm())
    choice = confirmed(model_admin, request, queryset)
    if choice is None:
        return None
    form = DiscardForm(request.POST)
    if not form.is_valid():
        return ask(model_admin, request, "discard", choice, form)
    number = _discard(request, choice, form.cleaned_data["note"])
    text, level = (f"{count_of(number)} discarded.", messages.SUCCESS) if number else (GONE, messages.WARNING)
    model_admin.message_user(request, text, level)
    return HttpResponseRedirect(address_after(request, choice))


def _discard(request: HttpRequest, choice: Choice, note: str) -> int:
    """Discard what is still pending; how many records that was."""
    with transaction.atomic(using=choice.matching.db):
        # Locked first, so that the log names exactly those that are then changed.
        locked = choice.records.select_for_update(of=("self",)).values_list("pk", flat=True)
        ids = list(locked[: FROZEN + 1])
        few = len(ids) <= FROZEN
        rows = FailedRecord.objects.filter(pk__in=ids) if few else choice.records.order_by()
        by = request.user.get_username()
        number = end_pending(rows, FailedRecord.Status.DISCARDED, by=by, note=note).total()
        if few:
            log_each(request.user, rows, f"Discarded: {note}")
        else:
            matching = f"Discarded all that match {request.GET.urlencode() or 'no filter'}: {note}"
            log_together(request.user, f"{count_of(number)} up to id {choice.max_id}", matching)
    return number
