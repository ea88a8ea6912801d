"""Starting a run: the query is shown before anything happens, tried out on some records if wanted, then confirmed."""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from consumers.admin.actionlog import log_run
from consumers.admin.confirmation import expected, in_figures
from consumers.admin.runs.forms import StartForm, TrialForm, seal, unseal
from consumers.admin.runs.page import PERMISSION
from consumers.admin.runs.query import conditions, described, lookups_of
from consumers.admin.visible import visible
from consumers.inbox.runs import orders
from consumers.inbox.runs.selection import BadSelection, FrozenSelection, freeze
from consumers.models import FailedRecord, RetryRun
from consumers.settings import engine_settings

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    from consumers.inbox.trial import Trial


def start_view(model_admin: ModelAdmin[RetryRun], request: HttpRequest) -> HttpResponse:
    """GET shows what would be retried; POST tries it out, or starts the run."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    if request.method == "POST":
        if not request.user.has_perm(PERMISSION):
            raise PermissionDenied
        return _posted(model_admin, request)
    try:
        found = conditions(request.GET.dict())
        selection = freeze(lookups_of(found), described(found), engine_settings().database)
    except BadSelection as error:
        messages.error(request, f"Nothing was started: {visible(str(error))}.")
        return HttpResponseRedirect(reverse("admin:consumers_failedrecord_changelist"))
    number = expected(_pending(selection))
    sealed = seal(selection, uuid.uuid4().hex, number)
    form = StartForm(initial={"frozen": sealed, "reason": _prefilled(selection)})
    return _page(model_admin, request, selection, form, number)


def _pending(selection: FrozenSelection) -> QuerySet[FailedRecord]:
    return selection.pending(engine_settings().database).order_by("pk")


def _posted(model_admin: ModelAdmin[RetryRun], request: HttpRequest) -> HttpResponse:
    form = StartForm(request.POST)
    is_valid = form.is_valid()
    if "frozen" not in form.cleaned_data:
        messages.error(request, "Nothing was started: the page can't be read any more. Start again from the list.")
        return HttpResponseRedirect(reverse("admin:consumers_failedrecord_changelist"))
    packed = form.cleaned_data["frozen"]
    selection = unseal(packed)
    page = partial(_page, model_admin, request, selection, form)
    if "dry_run" in request.POST:
        trial_form = TrialForm(request.POST)
        trial = _tried(request, selection, trial_form) if trial_form.is_valid() else None
        return page(expected(_pending(selection)), trial_form, trial)
    if not is_valid:
        return page(expected(_pending(selection)))
    run = _start(request, selection, form)
    messages.success(request, f"Run {run.pk} is stored: it goes on whether or not you stay on this page.")
    return HttpResponseRedirect(reverse("admin:consumers_retryrun_change", args=[run.pk]))


def _tried(request: HttpRequest, selection: FrozenSelection, form: TrialForm) -> Trial:
    from consumers.inbox.trial import try_out  # loads the whole engine

    ids = list(_pending(selection).values_list("pk", flat=True)[: form.cleaned_data["number"]])
    return try_out(ids, request.user.get_username())


def _start(request: HttpRequest, selection: FrozenSelection, form: StartForm) -> RetryRun:
    packed = form.cleaned_data["frozen"]
    run = orders.start(
        selection,
        form.pace,
        by=request.user.get_username(),
        reason=form.cleaned_data["reason"],
        expected=packed["expected"],
        using=engine_settings().database,
        token=packed["token"],
    )
    log_run(request.user, run, f"Started over {run.shown_as!r} up to id {run.upper_id}: {run.reason}")
    return run


def _prefilled(selection: FrozenSelection) -> str:
    return f"Retry of {', '.join(selection.shown_as.splitlines())}"[:1000]


def _page(
    model_admin: ModelAdmin[RetryRun],
    request: HttpRequest,
    selection: FrozenSelection,
    form: StartForm,
    number: int,
    trial_form: TrialForm | None = None,
    trial: Trial | None = None,
) -> HttpResponse:
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": "Retry failed records",
        "opts": RetryRun._meta,
        "media": model_admin.media,
        "conditions": [visible(line) for line in selection.shown_as.splitlines()],
        "upper_id": selection.upper_id,
        **in_figures(_pending(selection), number),
        "is_empty": not number,
        "form": form,
        "trial_form": trial_form or TrialForm(),
        "trial": trial,
        "may_start": request.user.has_perm(PERMISSION),
        "active": RetryRun.objects.filter(state__in=RetryRun.ACTIVE)[:10],
    }
    return TemplateResponse(request, "admin/consumers/retryrun/start.html", context)
