"""The groups: who is in them, and whether their members speak the same protocol as we would."""

from __future__ import annotations

from collections.abc import Iterator

from consumers.doctor.finding import Severity
from consumers.doctor.patient import Consumer, Patient
from consumers.doctor.registry import Remark, check
from consumers.kafka.cluster import Group

ASSIGNOR = "cooperative-sticky"


@check("groups", "broker")
def groups(patient: Patient) -> Iterator[Remark]:
    """One that a member of ours could join, or is joined to."""
    for consumer in patient.consumers:
        name = patient.group_of(consumer)
        group = patient.cluster.group(name)
        if group is None or group.state in ("empty", "dead"):
            yield Severity.INFO, f"group {name} has no member: nobody consumes {', '.join(patient.topics_of(consumer))}"
        else:
            remarks = [*_protocol(name, group, patient), *_members(name, group, consumer, patient)]
            yield from remarks or [(Severity.OK, f"group {name} is {group.state}, {_told(group)}")]


def _protocol(name: str, group: Group, patient: Patient) -> Iterator[Remark]:
    ours = patient.settings.group_protocol
    if group.kind in ("classic", "consumer") and group.kind != ours:
        text = f"the members of group {name} speak the {group.kind} protocol, this configuration the {ours} one"
        yield Severity.ERROR, text, f"Set KAFKA_GROUP_PROTOCOL={group.kind}, or stop those members first."
    elif group.kind == "classic" and group.assignor not in ("", ASSIGNOR):
        text = f"the members of group {name} agreed on {group.assignor}, ours speak {ASSIGNOR} only: none can join"
        yield Severity.ERROR, text, "Stop the members that are not ours, or choose another --group."


def _members(name: str, group: Group, consumer: Consumer, patient: Patient) -> Iterator[Remark]:
    partitions = 0
    for topic in patient.topics_of(consumer):
        known = patient.cluster.topic(topic)
        partitions += len(known.partitions) if known else 0
    idle = [member for member, held in group.members if not held]
    if group.state == "stable" and len(group.members) > partitions:
        text = (
            f"group {name} has {len(group.members)} members for {partitions} partitions: {len(idle)} have nothing to do"
        )
        yield Severity.WARNING, text, "Run fewer, or give the topic more partitions."
    if group.state not in ("stable", "unknown"):
        yield Severity.INFO, f"group {name} is rebalancing ({group.state}), {_told(group)}"


def _told(group: Group) -> str:
    return f"members: {', '.join(member for member, _ in group.members) or 'none'}"
