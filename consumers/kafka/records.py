"""From the client's messages to the engine's records, grouped by partition."""

from __future__ import annotations

from typing import Any

from consumers.core.records import Record, TopicPartition
from consumers.core.source import Fetched


class Grouping:
    """Records of one poll by partition, with the generation they were consumed under."""

    def __init__(self, generations: dict[TopicPartition, int]) -> None:
        self._generations = generations
        self._records: dict[tuple[TopicPartition, int], list[Record]] = {}
        self.count = 0
        self.size = 0

    def add(self, record: Record) -> None:
        generation = self._generations.get(record.source)
        if generation is not None:
            self._records.setdefault((record.source, generation), []).append(record)
            self.count += 1
            self.size += record.size

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


def record_of(message: Any) -> Record:
    kind, stamp = message.timestamp()
    headers = message.headers()
    return Record(
        source=TopicPartition(message.topic(), message.partition()),
        offset=message.offset(),
        value=message.value(),
        key=message.key(),
        headers=tuple(headers) if headers else (),
        timestamp=stamp if kind else None,
    )
