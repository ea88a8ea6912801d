"""From the client's messages to the engine's records, grouped by partition."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, repeat
from typing import Any

from confluent_kafka import Message

from consumers.core.records import Record, TopicPartition, total_size
from consumers.core.source import Fetched


class Grouping:
    """Records of one poll by partition, with the generation they were consumed under."""

    def __init__(self, generations: dict[TopicPartition, int]) -> None:
        self._generations = generations
        self._records: dict[tuple[TopicPartition, int], list[Record]] = {}
        self.count = 0
        self.size = 0

    def add(self, messages: Sequence[Any]) -> list[Any]:
        """Take in the records that one call of the client returned; gives back the messages that are none."""
        others = [message for message in messages if message.error() is not None]
        if others:
            messages = [message for message in messages if message.error() is None]
        start = 0
        for place, run in groupby(zip(map(_topic, messages), map(_partition, messages), strict=True)):
            end = start + len(list(run))
            self._take(TopicPartition(*place), messages[start:end])
            start = end
        return others

    def _take(self, source: TopicPartition, messages: Sequence[Any]) -> None:
        """Take in records of one partition, if it is assigned."""
        generation = self._generations.get(source)
        if generation is not None:
            records = _records(source, messages)
            self._records.setdefault((source, generation), []).extend(records)
            self.count += len(records)
            self.size += total_size(records)

    def result(self, current: dict[TopicPartition, int]) -> list[Fetched]:
        """What is still assigned as it was when it was consumed."""
        return [
            Fetched(source, generation, records)
            for (source, generation), records in self._records.items()
            if current.get(source) == generation
        ]

    def trigger(self, max_records: int, max_bytes: int, at_end: bool) -> str:
        if self.count >= max_records:
            return "size"
        if self.size >= max_bytes:
            return "bytes"
        return "end" if at_end else "time"


def _records(source: TopicPartition, messages: Sequence[Any]) -> list[Record]:
    """The records of one partition's messages, a column at a time: every record passes here."""
    headers = [tuple(pairs) if pairs else () for pairs in map(_headers, messages)]
    stamps = [stamp if kind else None for kind, stamp in map(_timestamp, messages)]
    columns = map(_offset, messages), map(_value, messages), map(_key, messages), headers, stamps
    return list(map(Record, repeat(source), *columns))


_message: Any = Message
_topic, _partition, _offset = _message.topic, _message.partition, _message.offset
_value, _key, _headers, _timestamp = _message.value, _message.key, _message.headers, _message.timestamp
