"""A run's page: how it stands, live, and what may be ordered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from consumers.admin.actionlog import log_run
from consumers.admin.visible import moment, visible
from consumers.inbox.runs import orders
from consumers.inbox.runs.standing import Standing, standing_of
from consumers.models import RetryRun
from consumers.settings import engine_settings

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

PERMISSION = "consumers.reprocess_failedrecord"

_FIGURES = ("succeeded", "failed_again", "left", "total", "left_alone")

_ORDERS = {
    "pause": (orders.pause, "paused"),
    "resume": (orders.resume, "resumed"),
    "cancel": (orders.cancel, "cancelled"),
}
"""How each is carried out, and what the run is then."""


def describe(run: RetryRun, request: HttpRequest) -> dict[str, Any]:
    """The template's variables."""
    live = shown(standing_of(run, engine_settings().database))
    return {
        "live": live,
        "figures": {name: f"{live[name]:,}" for name in _FIGURES},
        "conditions": [visible(line) for line in run.shown_as.splitlines()],
        "facts": _facts(run),
        "may_order": request.user.has_perm(PERMISSION),
        "failed_again": reverse("admin:consumers_failedrecord_changelist", query={"run": run.pk}),
        "live_address": reverse("admin:consumers_retryrun_live", args=[run.pk]),
        "order_address": reverse("admin:consumers_retryrun_order", args=[run.pk]),
    }


def shown(standing: Standing) -> dict[str, Any]:
    """What changes while the page is looked at, fit to be printed."""
    live = standing.as_json(timezone.now())
    live["by_reason"] = [[visible(reason), number] for reason, number in live["by_reason"].items()]
    live["text"] = visible(live["text"])
    live["worker"] = visible(live["worker"])
    live["left_alone"] = standing.passed_over or standing.progress.skipped
    live["heartbeat"] = moment(standing.progress.heartbeat_at)
    live["steps"] = _steps(standing)
    return live


def _facts(run: RetryRun) -> list[tuple[str, str]]:
    return [
        ("Started by", visible(run.by)),
        ("Started", moment(run.created_at)),
        ("Why", visible(run.reason)),
        ("Records up to id", f"{run.upper_id:,}"),
        ("Rate", f"at most {run.rate:g} records a second" if run.rate else "as fast as it goes"),
        ("Pauses above", "never" if run.pause_above >= 1 else f"{run.pause_above:.0%} failing again in a step"),
    ]


def _steps(standing: Standing) -> list[dict[str, str]]:
    """The stepper: each station with its name and whether it is done, current or to come."""
    run, progress = standing.run, standing.progress
    sizes = [f"{'then' if at else 'first'} {size:,}" for at, size in enumerate(run.ramp)]
    names = ["queued", *sizes, "done"]
    if run.state == RetryRun.State.DONE:
        current = len(names)
    elif progress.started_at is None:
        current = 0
    else:
        current = 1 + min(progress.step, len(run.ramp) - 1)
    places = ["done" if at < current else "current" if at == current else "to come" for at in range(len(names))]
    return [{"name": name, "place": place} for name, place in zip(names, places, strict=True)]


def _run(model_admin: ModelAdmin[RetryRun], request: HttpRequest, pk: int) -> RetryRun:
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    run = RetryRun.objects.filter(pk=pk).first()
    if run is None:
        raise Http404(f"there is no run {pk}")
    return run


@never_cache
def live_view(request: HttpRequest, model_admin: ModelAdmin[RetryRun], pk: int) -> HttpResponse:
    """How the run stands, as JSON: what its page asks for again and again."""
    return JsonResponse(shown(standing_of(_run(model_admin, request, pk), engine_settings().database)))


@require_POST
def order_view(request: HttpRequest, model_admin: ModelAdmin[RetryRun], pk: int) -> HttpResponse:
    """Pause, resume or cancel."""
    run = _run(model_admin, request, pk)
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    order = request.POST.get("order", "")
    if order not in _ORDERS:
        messages.error(request, "Nothing was done: the order must be pause, resume or cancel.")
        return _back(run)
    carry_out, done = _ORDERS[order]
    if carry_out(run, by=request.user.get_username()):
        log_run(request.user, run, done.capitalize())
        messages.success(request, f"The run is {done}.")
    else:
        messages.warning(request, f"Nothing was done: the run is {run.get_state_display()}.")
    return _back(run)


def _back(run: RetryRun) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:consumers_retryrun_change", args=[run.pk]))
