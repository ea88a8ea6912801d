"""What was ordered and what happened, to look back at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html

from consumers.admin.console.access import may_view
from consumers.admin.readonly import LookOnly
from consumers.admin.visible import visible
from consumers.models import Control, ControlReply, WorkerEvent

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
    ReplyTable = admin.TabularInline[ControlReply, Control]
else:
    AnyModelAdmin = admin.ModelAdmin
    ReplyTable = admin.TabularInline


class ConsoleHistory(LookOnly, AnyModelAdmin):
    """For whoever may look at the console."""

    show_facets = admin.ShowFacets.NEVER
    list_per_page = 100

    class Media:
        css = {"all": ("consumers/console/console.css",)}  # noqa: RUF012 - Django's own shape

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_view(request)


class Replies(ReplyTable):
    """What each worker has answered."""

    model = ControlReply
    fields = ("worker_name", "state", "at", "shown_text")
    readonly_fields = fields
    extra = 0
    max_num = 0
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_view(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="answer")
    def shown_text(self, reply: ControlReply) -> str:
        return format_html('<pre class="console-text" tabindex="0">{}</pre>', visible(reply.text))


@admin.register(Control)
class ControlAdmin(ConsoleHistory):
    """Orders, with who gave them, why, and what became of them."""

    list_display = ("shown", "by", "at", "expires_at", "ended_at", "ended_by", "reason")
    list_filter = ("kind", "by")
    search_fields = ("group", "topic", "reason", "by")
    date_hierarchy = "at"
    inlines = (Replies,)

    @admin.display(description="order")
    def shown(self, control: Control) -> str:
        return visible(str(control))


@admin.register(WorkerEvent)
class WorkerEventAdmin(ConsoleHistory):
    """Rebalances, outages, fences, moves of the limiter, orders, starts and ends."""

    list_display = ("at", "worker", "kind", "shown_text")
    list_filter = ("kind",)
    list_select_related = ("worker",)

    @admin.display(description="what happened")
    def shown_text(self, event: WorkerEvent) -> str:
        return visible(event.text)
