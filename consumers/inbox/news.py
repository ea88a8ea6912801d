"""What a roll-up found out that somebody should know: notes in the groups' histories, and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.urls import NoReverseMatch, reverse

from consumers import registry
from consumers.alerts.outbox import raise_alert
from consumers.core.alerting import AlertPolicy
from consumers.core.errors import Misconfigured
from consumers.inbox.groups import Status
from consumers.models import Alert, FailureGroup, FailureNote
from consumers.settings import engine_settings

SEVERAL = 5
"""More new groups than that in one roll-up are one alert."""
SEVERAL_COOL_DOWN = 300.0

_SAID = {
    Status.REGRESSED: "It came back.",
    Status.RESOLVED: "Nothing is pending any more.",
    Status.KNOWN: "Records are pending again.",
}


class Transition(NamedTuple):
    """A group that a roll-up made or whose state it changed; `status` is the state it went into, empty for none."""

    group: FailureGroup
    is_new: bool
    status: str
    failed_at: datetime | None


def tell(transitions: Sequence[Transition], now: datetime, using: str) -> None:
    """Write down what happened, and raise alerts of what is new or came back, in the roll-up's own transaction.

    Failures older than the cool-down are no news: those that the inbox found when it was installed, for example.
    """
    FailureNote.objects.using(using).bulk_create(
        FailureNote(group=each.group, kind=FailureNote.Kind.STATUS, text=_SAID[Status(each.status)])
        for each in transitions
        if each.status in _SAID
    )
    policy = engine_settings().alert_policy()
    since = now - timedelta(seconds=max(policy.cool_down, SEVERAL_COOL_DOWN))
    fresh = [each for each in transitions if each.failed_at and each.failed_at > since]
    _tell_of_new([each.group for each in fresh if each.is_new], policy, using)
    for each in fresh:
        if each.status == Status.REGRESSED:
            _raise(Alert.Kind.REGRESSION, each.group, f"{_name(each.group)} came back", policy, using)


def _tell_of_new(groups: Sequence[FailureGroup], policy: AlertPolicy, using: str) -> None:
    if len(groups) <= SEVERAL:
        for group in groups:
            _raise(Alert.Kind.NEW_GROUP, group, f"New failure: {_name(group)}", policy, using)
        return
    raise_alert(
        Alert.Kind.NEW_GROUP,
        key="several",
        title=f"{len(groups)} new kinds of failures",
        detail="\n".join(_name(group) for group in groups[:20]),
        path=_path("admin:consumers_failuregroup_changelist"),
        cool_down=min(policy.cool_down, SEVERAL_COOL_DOWN),
        using=using,
    )


def _raise(kind: Alert.Kind, group: FailureGroup, title: str, policy: AlertPolicy, using: str) -> None:
    raise_alert(
        kind,
        key=f"group {group.pk}",
        title=title,
        detail=_detail(group),
        path=_path("admin:consumers_failuregroup_change", group.pk),
        group=group,
        cool_down=policy.cool_down,
        using=using,
    )


def _name(group: FailureGroup) -> str:
    return f"{group.reason} in {group.consumer}" + (f" ({group.exception})" if group.exception else "")


def _detail(group: FailureGroup) -> str:
    """In words. An alert leaves the house: the message of a consumer that redacts fields stays inside."""
    places = ", ".join(f"{topic} {partitions}" for topic, partitions in group.places.items())
    lines = [f"{group.pending:,} pending, {group.count:,} in all, in {places or 'no partition known'}"]
    if group.message and not _redacts(group.consumer):
        lines.append(group.message)
    return "\n".join(lines)


def _redacts(consumer: str) -> bool:
    try:
        return bool(registry.get(consumer).redact)
    except Misconfigured:
        return True


def _path(name: str, *args: object) -> str:
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""  # a project without the admin
