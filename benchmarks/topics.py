"""Topics, filled once per shape and read again by one fresh group after the other."""

from __future__ import annotations

from time import monotonic

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from benchmarks.say import say
from benchmarks.shapes import Shape
from consumers.kafka.producer import RecordProducer
from demo.keys import key_of
from demo.samples import KEYS

PARTITIONS = 6


def fill(bootstrap_servers: str, shape: Shape, records: int, chunk: int) -> None:
    """Send the shape's records, so many, under the keys that production would give them."""
    started = monotonic()
    with RecordProducer(bootstrap_servers) as producer:
        producer.ensure_topic(shape.full_topic, PARTITIONS)
        for value in shape.make(records, chunk):
            key = key_of(value, KEYS[shape.topic])
            producer.send(shape.full_topic, value, key=key, partition=shape.partition)
    say(f"  {shape.name:<9} {records:>11,} records sent in {monotonic() - started:.0f} s")


def shares_of_members(admin: AdminClient, group: str) -> list[int]:
    """How many partitions each member of the group holds; empty while the broker does not know the group yet."""
    try:
        described = admin.describe_consumer_groups([group])[group].result(10)
    except KafkaException:
        return []
    return [len(member.assignment.topic_partitions) for member in described.members]
