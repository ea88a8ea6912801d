"""The console's addresses: the page itself in the place of the workers' list, its live data, a page on each worker."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from consumers.admin.console import orders, seek
from consumers.admin.console.access import NO_CONTROL, may_control, may_view, require_view
from consumers.admin.console.live import look
from consumers.admin.console.series import MINUTES, series
from consumers.admin.readonly import LookOnly
from consumers.models import Control, ControlReply, Worker, WorkerEvent
from consumers.orders import in_force

if TYPE_CHECKING:
    WorkerModelAdmin = admin.ModelAdmin[Worker]
else:
    WorkerModelAdmin = admin.ModelAdmin

FOLDER = "admin/consumers/console"
FRAGMENTS = ("summary", "consumers", "partitions", "workers", "orders", "events")
"""Parts of the page that are put in again with every look; each is a template of its own."""
MOST_EVENTS, MOST_MOVES, MOST_ORDERS = 30, 8, 15

View = Callable[..., HttpResponse]


@admin.register(Worker)
class WorkerAdmin(LookOnly, WorkerModelAdmin):
    """The live console, under the name of what reports to it."""

    def has_view_permission(self, request: HttpRequest, obj: Worker | None = None) -> bool:
        return may_view(request)

    def get_urls(self) -> list[URLPattern]:
        views: list[tuple[str, str, View]] = [
            ("live/", "consumers_console_live", self.live_view),
            ("order/<slug:kind>/", "consumers_console_order", self._with_site(orders.order_view)),
            ("take-back/", "consumers_console_take_back", self._with_site(orders.take_back_view)),
            ("seek/", "consumers_console_seek", self._with_site(seek.seek_view)),
            ("<uuid:worker>/", "consumers_console_worker", self.worker_view),
        ]
        own = [path(route, self.admin_site.admin_view(view), name=name) for route, name, view in views]
        return [*own, *super().get_urls()]

    def _with_site(self, view: View) -> View:
        def called(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            return view(request, self.admin_site, **kwargs)

        return called

    # ---- pages ------------------------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require_view(request)
        context = {
            **self.admin_site.each_context(request),
            **self._now(request),
            "title": "Live console",
            "opts": self.opts,
            "minutes_choices": MINUTES,
            "config": {
                "url": reverse("admin:consumers_console_live"),
                "every": 3_000,
                "zone": timezone.get_current_timezone_name(),
            },
        }
        return TemplateResponse(request, f"{FOLDER}/console.html", context)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Links of Django's own lead to the worker's page."""
        require_view(request)
        try:
            worker = uuid.UUID(object_id)
        except ValueError as error:
            raise Http404 from error
        return HttpResponseRedirect(reverse("admin:consumers_console_worker", args=[worker]))

    def live_view(self, request: HttpRequest) -> JsonResponse:
        """The page's parts and the charts' data, as they are now."""
        require_view(request)
        asked = request.GET.get("minutes", "")
        minutes = int(asked) if asked in map(str, MINUTES) else MINUTES[1]
        context = self._now(request)
        parts = {name: render_to_string(f"{FOLDER}/{name}.html", context, request) for name in FRAGMENTS}
        return JsonResponse({"at": timezone.now().timestamp(), "parts": parts, "series": series(minutes)})

    def worker_view(self, request: HttpRequest, worker: uuid.UUID) -> HttpResponse:
        """One worker: what it last said, what happened to it, what it answered."""
        require_view(request)
        found = Worker.objects.filter(pk=worker).first()
        if found is None:
            raise Http404
        replies = ControlReply.objects.filter(worker=worker).select_related("control").order_by("-control_id")
        context = {
            **self.admin_site.each_context(request),
            "title": f"Worker {found}",
            "opts": self.opts,
            "worker": found,
            "id_text": str(found.pk),
            "events": WorkerEvent.objects.filter(worker=found)[:100],
            "replies": replies[:MOST_ORDERS],
            "may_control": may_control(request),
            "no_control": NO_CONTROL,
        }
        return TemplateResponse(request, f"{FOLDER}/worker.html", context)

    def _now(self, request: HttpRequest) -> dict[str, Any]:
        with_replies = Prefetch("replies", ControlReply.objects.defer("text").order_by("worker_name"))
        standing = in_force(DEFAULT_DB_ALIAS).filter(kind__in=Control.STANDING)
        return {
            "live": look(),
            "events": _events(),
            "standing": standing.prefetch_related(with_replies),
            "orders": Control.objects.prefetch_related(with_replies)[:MOST_ORDERS],
            "may_control": may_control(request),
            "no_control": NO_CONTROL,
        }


def _events() -> list[WorkerEvent]:
    """The latest, the newest first. Moves of the limiter are frequent, and must not crowd out the others."""
    events = WorkerEvent.objects.select_related("worker")
    moves = events.filter(kind="limit")[:MOST_MOVES]
    others = events.exclude(kind="limit")[:MOST_EVENTS]
    return sorted([*moves, *others], key=lambda event: event.at, reverse=True)
