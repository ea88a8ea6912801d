"""The page between choosing an action and its happening: how many records, of which reasons, and what it will do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from consumers.admin.choice import FROZEN, BadChoice, Choice, by_reason, confirmed_choice
from consumers.admin.paging import EXACT_UP_TO, EstimatedCountPaginator
from consumers.admin.visible import visible

if TYPE_CHECKING:
    from django.contrib.admin.options import ModelAdmin
    from django.db.models import QuerySet

    from consumers.models import FailedRecord

    RecordAdmin = ModelAdmin[FailedRecord]


def ask(
    model_admin: RecordAdmin, request: HttpRequest, action: str, choice: Choice, form: forms.Form | None = None
) -> HttpResponse | None:
    """The confirmation page; where nothing is pending, a message instead and None."""
    number = expected(choice.records)
    if not number:
        text = f"None of the selected records is pending: there is nothing to {action}."
        model_admin.message_user(request, text, messages.WARNING)
        return None
    across = "1" in request.POST.getlist("select_across")
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"{action.capitalize()} failed records",
        "opts": model_admin.model._meta,
        "media": model_admin.media,
        "action": action,
        "choice": choice,
        **in_figures(choice.records, number),
        "chosen_by": [(visible(name), visible(str(value))) for name, value in request.GET.items()] if across else [],
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME)[:FROZEN] or ["0"],
        "select_across": "1" if across else "0",
        "from_detail": "from_detail" in request.POST,
        "back": address_after(request, choice),
        "form": form,
    }
    return TemplateResponse(request, "admin/consumers/failedrecord/confirm_action.html", context)


def expected(records: QuerySet[FailedRecord]) -> int:
    """How many records it is: exact while they are few, the planner's estimate beyond."""
    return EstimatedCountPaginator(records, 1).count


def in_figures(records: QuerySet[FailedRecord], number: int) -> dict[str, Any]:
    """What a page says of the records before something happens to them: how many they are, and of which reasons."""
    is_exact = number <= EXACT_UP_TO
    return {
        "number": count_of(number) if is_exact else f"about {count_of(number)}",
        "groups": by_reason(records, EXACT_UP_TO),
        "groups_of": "" if is_exact else f"{EXACT_UP_TO:,}",
    }


def confirmed(model_admin: RecordAdmin, request: HttpRequest, matching: QuerySet[FailedRecord]) -> Choice | None:
    """The choice that the page had shown; None, and a message, if it can't be read from what was posted."""
    try:
        return confirmed_choice(model_admin.get_queryset(request), matching, request.POST)
    except BadChoice as error:
        model_admin.message_user(request, f"Nothing was done: {error}.", messages.ERROR)
        return None


def address_after(request: HttpRequest, choice: Choice) -> str:
    """The record's own page if the action began there, else the list as it was filtered."""
    if "from_detail" in request.POST and choice.ids:
        return reverse("admin:consumers_failedrecord_change", args=choice.ids[:1])
    return request.get_full_path()


def count_of(number: int) -> str:
    return "1 record" if number == 1 else f"{number:,} records"
