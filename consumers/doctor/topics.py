"""The topics: whether they are there, how safely they are kept, and whether what is still to be read is there."""

from __future__ import annotations

from collections.abc import Iterator

from consumers.core.records import TopicPartition
from consumers.doctor.finding import Severity
from consumers.doctor.patient import Consumer, Patient
from consumers.doctor.registry import Remark, check
from consumers.kafka.cluster import Topic
from consumers.models import PartitionLedger

SHORT = 24 * 3600.0
"""Seconds of retention that an outage over night, or a week-end's bug, outlasts."""


@check("topics", "broker")
def topics(patient: Patient) -> Iterator[Remark]:
    """Each is there, replicated and kept long enough."""
    brokers = len(patient.cluster.brokers())
    for consumer in patient.consumers:
        for name in patient.topics_of(consumer):
            topic = patient.cluster.topic(name)
            if topic is None:
                mend = "Create it, or check CONSUMERS_TOPIC_PREFIX; consumers make no topics."
                yield Severity.ERROR, f"topic {name} of {consumer.name} does not exist", mend
                continue
            remarks = [*_replication(topic, brokers), *_retention(topic), *_fit(topic, consumer, patient)]
            yield from remarks
            if not any(severity >= Severity.WARNING for severity, *_ in remarks):
                yield Severity.OK, f"topic {name} has {len(topic.partitions)} partitions"


@check("retention", "broker", "database")
def retention(patient: Patient) -> Iterator[Remark]:
    """The log still holds what the group is to read next."""
    lost = False
    for group, ledger in _lines(patient).items():
        ends = patient.cluster.ends(ledger)
        for source, position in ledger.items():
            low, high = ends[source]
            if position < low or position > high:
                lost = True
                yield _gone(group, source, position, low, high)
    if not lost:
        yield Severity.OK, "the log holds all that the groups have yet to read"


def _replication(topic: Topic, brokers: int) -> Iterator[Remark]:
    replicas = min(count for count, _ in topic.partitions.values())
    lagging = sorted(number for number, (count, in_sync) in topic.partitions.items() if in_sync < count)
    least = int(topic.config.get("min.insync.replicas") or 1)
    if replicas < 2:
        severity = Severity.WARNING if brokers > 1 else Severity.INFO
        mend = "Give it a replication factor of 3." if brokers > 1 else ""
        yield severity, f"topic {topic.name} has one replica: with its broker its records are gone", mend
    elif least >= replicas:
        text = f"topic {topic.name}: min.insync.replicas = {least} of {replicas}: with one broker down nothing is taken"
        yield Severity.WARNING, text, f"Set min.insync.replicas to {replicas - 1}."
    elif least < 2:
        text = f"topic {topic.name}: min.insync.replicas = 1: a record may be acknowledged that one broker alone has"
        yield Severity.WARNING, text, "Set min.insync.replicas to 2."
    if lagging:
        text = f"topic {topic.name}: replicas of partitions {', '.join(map(str, lagging))} are out of sync"
        yield Severity.WARNING, text, "See to the brokers that hold them."
    if topic.config.get("unclean.leader.election.enable") == "true":
        text = f"topic {topic.name}: unclean leader election may take back records that were read"
        yield Severity.WARNING, text, "Set unclean.leader.election.enable=false."


def _retention(topic: Topic) -> Iterator[Remark]:
    seconds = int(topic.config.get("retention.ms") or -1) / 1000
    policy = topic.config.get("cleanup.policy", "delete")
    if "delete" in policy and 0 <= seconds < SHORT:
        text = f"topic {topic.name} keeps records for {_hours(seconds)}: a longer outage of ours loses some"
        yield Severity.WARNING, text, "Raise retention.ms to some days."
    if int(topic.config.get("retention.bytes") or -1) > 0 and "delete" in policy:
        text = f"topic {topic.name} is also cut by size (retention.bytes): a burst shortens the time to read"
        yield Severity.INFO, text
    if "compact" in policy:
        yield Severity.INFO, f"topic {topic.name} is compacted: of records with one key those not yet read may go"


def _fit(topic: Topic, consumer: Consumer, patient: Patient) -> Iterator[Remark]:
    if len(topic.partitions) < patient.settings.lanes:
        text = (
            f"topic {topic.name} has {len(topic.partitions)} partitions for {patient.settings.lanes} lanes: some idle"
        )
        yield Severity.INFO, text
    largest = int(topic.config.get("max.message.bytes") or 0)
    if largest > consumer.batch.record_bytes:
        text = (
            f"topic {topic.name} takes records of {largest:,} bytes, {consumer.name} of {consumer.batch.record_bytes:,}"
        )
        yield Severity.INFO, f"{text}: larger ones become failed records (too_large)"


def _lines(patient: Patient) -> dict[str, dict[TopicPartition, int]]:
    """By group, the positions in the topics that its consumer reads."""
    lines: dict[str, dict[TopicPartition, int]] = {}
    for consumer in patient.consumers:
        group = patient.group_of(consumer)
        held = PartitionLedger.objects.using(patient.settings.database).filter(group=group)
        for name in patient.topics_of(consumer):
            topic = patient.cluster.topic(name)
            for line in held.filter(topic=name) if topic else ():
                if topic and line.partition in topic.partitions:
                    lines.setdefault(group, {})[TopicPartition(name, line.partition)] = line.next_offset
    return lines


def _gone(group: str, source: TopicPartition, position: int, low: int, high: int) -> Remark:
    if position < low:
        text = f"{source}: group {group} is to read offset {position} next, and the log begins at {low}: "
        mend = "They are lost to the group; lengthen retention.ms, and see manage.py reconcile for what is missing."
        return Severity.ERROR, f"{text}{low - position} offsets are gone", mend
    text = f"{source}: group {group} is to read offset {position} next, and the log ends at {high}: it was made anew"
    mend = f"manage.py seek --group {group} --topic {source.topic} --partition {source.partition} --to-beginning"
    return Severity.ERROR, text, mend


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"
