"""Moving a group from the console: where to, then a page of what it would do, then the move."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION
from django.contrib.admin.sites import AdminSite
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from consumers import positions
from consumers.admin.console.access import require_control
from consumers.admin.console.orders import Page, log
from consumers.core.errors import ConsumerError, Misconfigured
from consumers.core.records import TopicPartition
from consumers.kafka.targets import chosen, target
from consumers.ledger import Ledger
from consumers.models import PartitionLedger
from consumers.positions import Move
from consumers.settings import engine_settings

PAGE = Page(
    "Move a group",
    "Move a group to another position in a topic, to replay or to skip. Nothing is moved yet: the next page shows what "
    "it would do.",
    "Preview",
)
WHERE = (
    ("beginning", "the first record there is"),
    ("end", "the end: skip all that is there"),
    ("offset", "this offset"),
    ("time", "the first record as young as this time"),
)


class SeekForm(forms.Form):
    """Which partitions of which group are moved where."""

    target = forms.ChoiceField(label="Group and topic")
    partitions = forms.CharField(
        required=False, help_text="Numbers with commas, such as 0, 3. Empty: all of the topic's."
    )
    where = forms.ChoiceField(label="To", choices=WHERE)
    offset = forms.IntegerField(required=False, min_value=0, help_text="for “this offset”")
    time = forms.DateTimeField(
        required=False,
        help_text="for “this time”, such as 2026-11-24 20:00, in the site's time zone",
    )
    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 2, "cols": 60}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        topics = PartitionLedger.objects.order_by("group", "topic").values_list("group", "topic").distinct()
        choices = [(json.dumps([group, topic]), f"{topic}, group {group}") for group, topic in topics]
        self.fields["target"].choices = choices  # type: ignore[attr-defined]

    def clean_partitions(self) -> list[int]:
        numbers = [text.strip() for text in self.cleaned_data["partitions"].split(",") if text.strip()]
        if not all(number.isdecimal() and len(number) < 9 for number in numbers):
            raise ValidationError("Numbers with commas between them, such as 0, 3.")
        return sorted({int(number) for number in numbers})

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        for name in ("offset", "time"):
            if data.get("where") == name and data.get(name) is None and name not in self.errors:
                self.add_error(name, "Say which.")
        return data

    @property
    def place(self) -> tuple[str, str]:
        group, topic = json.loads(self.cleaned_data["target"])
        return group, topic


class ApplyForm(forms.Form):
    """What the preview showed, to be done."""

    target = forms.CharField(max_length=600)
    offsets = forms.CharField(max_length=200_000)
    reason = forms.CharField(max_length=500)
    field_order = ("target", "offsets", "reason")

    def moves_asked(self) -> tuple[str, dict[TopicPartition, int]]:
        """The group, and where each partition is to go.

        Raises:
            Misconfigured: the fields are not what the page had put there.
        """
        try:
            group, topic = json.loads(self.cleaned_data["target"])
            offsets = json.loads(self.cleaned_data["offsets"])
            return str(group), {TopicPartition(str(topic), int(number)): int(to) for number, to in offsets.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise Misconfigured("the preview can't be read; start again") from error


def seek_view(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """The form; posted, the preview; that posted, the move."""
    require_control(request)
    if "apply" in request.POST:
        return _apply(request)
    posted = request.POST if request.method == "POST" else None
    get = request.GET
    form = SeekForm(posted, initial={"target": json.dumps([get.get("group", ""), get.get("topic", "")])})
    context = {**site.each_context(request), "title": PAGE.title, "page": PAGE, "form": form}
    if posted is not None and form.is_valid():
        try:
            moves = _preview(form)
        except ConsumerError as error:
            form.add_error(None, str(error))
        else:
            context |= {"title": "Preview of a move", "moves": moves, **_carried(form, moves)}
            return TemplateResponse(request, "admin/consumers/console/seek_preview.html", context)
    return TemplateResponse(request, "admin/consumers/console/order.html", context)


def _carried(form: SeekForm, moves: Sequence[Move]) -> dict[str, Any]:
    group, topic = form.place
    return {
        "group": group,
        "topic": topic,
        "target": form.cleaned_data["target"],
        "offsets": json.dumps({move.source.partition: move.after for move in moves}),
        "reason": form.cleaned_data["reason"],
        "again": sum(move.again for move in moves),
        "skipped": sum(move.skipped for move in moves),
        "passed_over": sum(move.passed_over for move in moves),
    }


def _preview(form: SeekForm) -> list[Move]:
    """What the move would do, within what the partitions hold.

    Raises:
        ConsumerError: the broker does not answer, or holds no such partition or offset.
    """
    from consumers.kafka.groups import BrokerView  # loads the broker's client, which nothing else here needs

    group, topic = form.place
    data = form.cleaned_data
    with BrokerView(engine_settings(), group) as broker:
        sources = chosen(broker, topic, data["partitions"])
        targets = [(source, target(broker, source, data["where"], data["offset"], data["time"])) for source in sources]
    return positions.plan(Ledger(group, DEFAULT_DB_ALIAS), targets)


def _apply(request: HttpRequest) -> HttpResponse:
    form = ApplyForm(request.POST)
    console = HttpResponseRedirect(reverse("admin:consumers_worker_changelist"))
    try:
        if not form.is_valid():
            raise Misconfigured("the preview can't be read; start again")
        group, targets = form.moves_asked()
        moves = _within_bounds(group, targets)
    except ConsumerError as error:
        messages.error(request, f"Nothing was moved: {error}")
        return console
    by = request.user.get_username()
    controls = positions.apply(Ledger(group, DEFAULT_DB_ALIAS), moves, by=by, reason=form.cleaned_data["reason"])
    for control in controls:
        log(request.user, control, ADDITION, "Moved: " + "; ".join(map(str, moves))[:5_000])
    messages.success(request, f"Moved {len(moves)} partitions of group {group}. Workers go on from there in seconds.")
    return console


def _within_bounds(group: str, targets: dict[TopicPartition, int]) -> list[Move]:
    """The moves, looked at once more: the log may have lost its beginning since the preview, or the field was changed.

    Raises:
        ConsumerError: an offset is not there (any more), or the broker does not answer.
    """
    from consumers.kafka.groups import BrokerView

    known = PartitionLedger.objects.filter(group=group, topic__in={source.topic for source in targets})
    if not targets or not known.exists():
        raise Misconfigured(f"group {group} reads no such topic")
    with BrokerView(engine_settings(), group) as broker:
        for source, offset in targets.items():
            target(broker, source, "offset", offset, None)
    return positions.plan(Ledger(group, DEFAULT_DB_ALIAS), targets.items())
