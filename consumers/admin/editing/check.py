"""An edited value, decoded as the consumer would decode it."""

from __future__ import annotations

from typing import NamedTuple

from consumers.admin.detail import wire_names
from consumers.admin.editing.fields import ConsumerClass
from consumers.admin.offending import offence_in
from consumers.core.outcomes import Outcomes
from consumers.core.records import Record, TopicPartition
from consumers.pipeline.decode import EventDecoder


class Refusal(NamedTuple):
    """What the consumer's event has against a value, and the field it is about; empty for the value as a whole."""

    field: str
    text: str


def refusal_of(consumer: ConsumerClass, value: bytes) -> Refusal | None:
    """None if the value is one of the consumer's events."""
    outcomes = Outcomes()
    record = Record(TopicPartition("", 0), 0, value)
    if EventDecoder(consumer.event, consumer.batch.record_bytes).decode([record], outcomes).events:
        return None
    message = outcomes.failures[0].message
    offence = offence_in(message, wire_names(consumer.name))
    return Refusal(offence.field if offence else "", message)
