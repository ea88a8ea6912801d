"""Pieces that the list of groups and a group's page have in common."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from consumers.admin.visible import moment, visible
from consumers.models import FailureGroup


def status_badge(group: FailureGroup) -> SafeString:
    return format_html(
        '<span class="failures-status inbox-{}">{}</span>', group.status, FailureGroup.Status(group.status).label
    )


def records_of(group: FailureGroup, **more: str) -> str:
    """The list of the group's failed records."""
    conditions = {"consumer": group.consumer, "fingerprint": group.fingerprint} | more
    return reverse("admin:consumers_failedrecord_changelist", query=conditions)


def partitions_in_short(partitions: Sequence[int]) -> str:
    """Such as "0-3, 7": runs, at most four of them."""
    runs: list[list[int]] = []
    for number in partitions:
        if runs and runs[-1][-1] == number - 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    said = ["-".join(map(str, run)) for run in runs[:4]]
    return ", ".join(said) + (", …" if len(runs) > 4 else "")


def places_in_short(group: FailureGroup) -> str:
    """Such as "ads.clicks 0-3, 7; ads.impressions 1"."""
    return "; ".join(f"{visible(topic)} {partitions_in_short(each)}" for topic, each in group.places.items())


def in_short(at: datetime) -> tuple[str, str]:
    """A time to the second with its zone, for the tooltip; and to the minute, for a narrow column."""
    return moment(at), moment(at)[:16]
