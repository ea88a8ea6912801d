"""Giving orders and taking them back: a page that asks, and what it posts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.admin.sites import AdminSite
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from consumers.admin.console.access import require_control
from consumers.admin.console.forms import LimitForm, PauseForm, StandingForm, WorkerForm, place_value
from consumers.models import Control
from consumers.orders import HEARD_WITHIN, in_force

Kind = Control.Kind


class Page(NamedTuple):
    """What the page that asks for an order says."""

    title: str
    text: str
    button: str


PAGES = {
    Kind.PAUSE: Page(
        "Pause a topic or partition",
        "Its workers read nothing more of it once what they have taken in is settled. They keep it, so that the group "
        "is not rebalanced, and go on exactly where they stopped when the order is taken back. The order outlives "
        "restarts and rebalances.",
        "Pause",
    ),
    Kind.WRITERS: Page(
        "Hold the number of writers",
        "How many lanes of each process may write at once. While it is held, the limit does not follow the database's "
        "health, and chunks have their full size.",
        "Hold writers",
    ),
    Kind.CONCURRENCY: Page(
        "Hold the number of process() workers",
        "How many calls of process() run at once for each chunk, from the next chunk on.",
        "Hold workers",
    ),
    Kind.CHUNK_SIZE: Page(
        "Hold the chunk size",
        "How many records at most go into one transaction, from the next chunk on. While it is held, the size does not "
        "follow the time that writing takes.",
        "Hold chunk size",
    ),
    Kind.DRAIN: Page(
        "Drain a worker",
        "The process settles its chunks in flight, gives its partitions back to the group and ends with exit code 0. "
        "Whether it is started again is up to what supervises it.",
        "Drain and stop",
    ),
    Kind.DUMP: Page(
        "Dump a worker's stacks",
        "The process writes the stack traces of all its greenlets and threads into its answer. It goes on working.",
        "Dump stacks",
    ),
}


def order_view(request: HttpRequest, site: AdminSite, kind: str) -> HttpResponse:
    """The page that asks for an order; a POST gives it."""
    require_control(request)
    if kind not in PAGES:
        raise Http404
    form = _form(request, kind)
    if request.method == "POST" and form.is_valid():
        control = give(request.user, kind, form)
        messages.success(request, f"Ordered: {control}. Workers answer within seconds.")
        return HttpResponseRedirect(reverse("admin:consumers_worker_changelist"))
    context = {**site.each_context(request), "title": PAGES[Kind(kind)].title, "page": PAGES[Kind(kind)], "form": form}
    return TemplateResponse(request, "admin/consumers/console/order.html", context)


def take_back_view(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """Ends a standing order; POST only, with its id as `order`."""
    require_control(request)
    if request.method != "POST":
        raise Http404
    number = request.POST.get("order", "")
    control = in_force(DEFAULT_DB_ALIAS).filter(pk=int(number) if number.isdecimal() else 0).first()
    if control is None:
        messages.warning(request, "That order is not in force any more.")
    else:
        end(request.user, control)
        messages.success(request, f"Taken back: {control}.")
    return HttpResponseRedirect(reverse("admin:consumers_worker_changelist"))


def give(user: Any, kind: str, form: Any) -> Control:
    """Store an order. A standing one takes the place of one of the same kind with the same aim."""
    columns: dict[str, Any] = form.order()
    expires_in = form.expires_in if isinstance(form, StandingForm) else HEARD_WITHIN
    with transaction.atomic():
        if kind in Control.STANDING:
            aim = {name: value for name, value in columns.items() if name != "value"}
            replaced = in_force(DEFAULT_DB_ALIAS).filter(kind=kind, **aim)
            for earlier in replaced.select_for_update():
                end(user, earlier)
        control = Control.objects.create(
            kind=kind,
            by=user.get_username(),
            reason=form.cleaned_data["reason"],
            expires_at=_moment_in(expires_in),
            **columns,
        )
        log(user, control, ADDITION, f"Ordered: {control}. {control.reason}")
    return control


def end(user: Any, control: Control) -> None:
    """Take a standing order back."""
    Control.objects.filter(pk=control.pk).update(ended_at=Now(), ended_by=user.get_username())
    log(user, control, CHANGE, f"Taken back: {control}")


def log(user: Any, control: Control, flag: int, text: str) -> None:
    """Note in Django's log who ordered what."""
    LogEntry.objects.log_actions(user.pk, Control.objects.filter(pk=control.pk), flag, text, single_object=True)


def _moment_in(span: timedelta | None) -> Any:
    return None if span is None else Now() + span


def _form(request: HttpRequest, kind: str) -> forms.Form:
    data = request.POST if request.method == "POST" else None
    get = request.GET
    if kind == Kind.PAUSE:
        number = get.get("partition", "")
        place = place_value(get.get("group", ""), get.get("topic", ""), int(number) if number.isdecimal() else None)
        return PauseForm(data, initial={"target": place})
    if kind in (Kind.DRAIN, Kind.DUMP):
        return WorkerForm(data, initial={"worker": get.get("worker", "")})
    return LimitForm(kind, data, initial={"target": get.get("group", ""), "value": get.get("value", "")})
