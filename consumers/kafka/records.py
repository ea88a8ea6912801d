"""From the client's messages to the engine's records, grouped by partition."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from consumers.core.records import Record, TopicPartition, total_size
from consumers.core.source import Fetched


class Grouping:
    """Records of one poll by partition, with the generation they were consumed under."""

    def __init__(self, generations: dict[TopicPartition, int]) -> None:
        self._generations = generations
        self._records: dict[tuple[TopicPartition, int], list[Record]] = {}
        self.count = 0
        self.size = 0

    def add(self, messages: Iterable[Any]) -> list[Any]:
        """Take in the records that one call of the client returned; gives back the messages that are none. The loop
        that every record goes through."""
        others: list[Any] = []
        taken: list[Record] = []
        lists: dict[tuple[str, int], tuple[TopicPartition, list[Record]] | None] = {}
        for message in messages:
            if message.error() is not None:
                others.append(message)
                continue
            place = message.topic(), message.partition()
            if place not in lists:
                lists[place] = self._list(TopicPartition(*place))
            entry = lists[place]
            if entry is None:
                continue
            source, records = entry
            record = _record(source, message)
            records.append(record)
            taken.append(record)
        self.count += len(taken)
        self.size += total_size(taken)
        return others

    def _list(self, source: TopicPartition) -> tuple[TopicPartition, list[Record]] | None:
        """Where a partition's records go; None if it is not assigned."""
        generation = self._generations.get(source)
        return None if generation is None else (source, self._records.setdefault((source, generation), []))

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


def _record(source: TopicPartition, message: Any) -> Record:
    kind, stamp = message.timestamp()
    headers = message.headers()
    return Record(
        source,
        message.offset(),
        message.value(),
        message.key(),
        tuple(headers) if headers else (),
        stamp if kind else None,
    )
