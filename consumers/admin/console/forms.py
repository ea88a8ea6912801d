"""The forms in which orders are given. Each says what it is about in one select, filled with what there is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from consumers.models import Control, PartitionLedger, Worker

DURATIONS = (
    ("", "until it is taken back"),
    ("15", "for 15 minutes"),
    ("60", "for 1 hour"),
    ("240", "for 4 hours"),
    ("1440", "for 1 day"),
)
MOST = {Control.Kind.WRITERS: 1_000, Control.Kind.CONCURRENCY: 10_000, Control.Kind.CHUNK_SIZE: 100_000}


class OrderForm(forms.Form):
    """What every order has: a reason."""

    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 60}),
        help_text="Kept with the order, for whoever wonders later.",
    )


class StandingForm(OrderForm):
    """An order that holds until it is taken back or runs out."""

    duration = forms.ChoiceField(label="Holds", choices=DURATIONS, required=False)
    field_order = ("target", "value", "duration", "reason")

    @property
    def expires_in(self) -> timedelta | None:
        minutes = self.cleaned_data.get("duration")
        return timedelta(minutes=int(minutes)) if minutes else None


class PauseForm(StandingForm):
    """Which topic or partition of which group is not to be read."""

    target = forms.ChoiceField(label="Pause")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["target"].choices = _places()  # type: ignore[attr-defined]

    def order(self) -> dict[str, Any]:
        """The order's columns."""
        group, topic, partition = json.loads(self.cleaned_data["target"])
        return {"group": group, "topic": topic, "partition": partition}


class LimitForm(StandingForm):
    """At which number something is to be held."""

    target = forms.ChoiceField(label="Of")
    value = forms.IntegerField(label="Hold at", min_value=1)

    def __init__(self, kind: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kind = kind
        self.fields["target"].choices = _groups()  # type: ignore[attr-defined]

    def clean_value(self) -> int:
        value: int = self.cleaned_data["value"]
        if value > MOST[Control.Kind(self._kind)]:
            raise ValidationError(f"At most {MOST[Control.Kind(self._kind)]:,}.")
        return value

    def order(self) -> dict[str, Any]:
        return {"group": self.cleaned_data["target"], "value": {"value": self.cleaned_data["value"]}}


class WorkerForm(OrderForm):
    """Which worker is to do something once."""

    worker = forms.ModelChoiceField(queryset=Worker.objects.none(), empty_label=None)
    field_order = ("worker", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        live = Worker.objects.filter(state__in=[Worker.State.RUNNING, Worker.State.DRAINING])
        self.fields["worker"].queryset = live.order_by("host", "pid")  # type: ignore[attr-defined]

    def order(self) -> dict[str, Any]:
        worker: Worker = self.cleaned_data["worker"]
        return {"worker": worker.pk, "value": {"worker": str(worker)}}


def place_value(group: str, topic: str, partition: int | None) -> str:
    """How a select writes a place."""
    return json.dumps([group, topic, partition])


def _places() -> list[tuple[str, Sequence[tuple[str, str]]]]:
    """By group and topic: the whole topic, and each of its partitions."""
    choices: dict[str, list[tuple[str, str]]] = {}
    lines = PartitionLedger.objects.order_by("group", "topic", "partition").values_list("group", "topic", "partition")
    for group, topic, partition in lines:
        places = choices.setdefault(f"{topic}, group {group}", [(place_value(group, topic, None), f"all of {topic}")])
        places.append((place_value(group, topic, partition), f"{topic}[{partition}]"))
    return list(choices.items())


def _groups() -> list[tuple[str, str]]:
    groups = PartitionLedger.objects.order_by("group").values_list("group", flat=True).distinct()
    return [("", "all consumers"), *((group, f"group {group}") for group in groups)]
