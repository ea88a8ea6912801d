"""Where in a topic's log a group may be moved to."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from consumers.core.errors import Misconfigured
from consumers.core.records import TopicPartition

if TYPE_CHECKING:  # it loads the broker's client, which whoever only shows the form does not need
    from consumers.kafka.groups import BrokerView


def chosen(broker: BrokerView, topic: str, numbers: Collection[int]) -> list[TopicPartition]:
    """The partitions of a topic with these numbers; all of them if none is named.

    Raises:
        Misconfigured: there is no such topic or partition.
    """
    sources = broker.partitions(topic)
    unknown = sorted(set(numbers) - {source.partition for source in sources})
    if unknown:
        raise Misconfigured(f"topic {topic} has no partition {', '.join(map(str, unknown))}")
    return [source for source in sources if not numbers or source.partition in numbers]


def target(broker: BrokerView, source: TopicPartition, where: str, offset: int | None, time: datetime | None) -> int:
    """The offset that is meant: by `where`, the beginning, the end, the first record as young as a `time`, or an
    `offset`.

    Raises:
        Misconfigured: the partition holds no such offset.
    """
    low, high = broker.watermarks(source)
    if where == "beginning":
        return low
    if where == "end":
        return high
    if where == "time" and time is not None:
        return broker.offset_at(source, round(time.timestamp() * 1000))
    if offset is None or not low <= offset <= high:
        raise Misconfigured(f"{source} holds offsets {low} to {high}; {offset} is not among them")
    return offset
