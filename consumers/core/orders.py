"""What operators have ordered a running consumer to do, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from consumers.core.records import TopicPartition


@dataclass(frozen=True)
class Pauses:
    """Topics and partitions that are not to be read until their order is taken back."""

    topics: frozenset[str] = frozenset()
    partitions: frozenset[TopicPartition] = frozenset()

    def covers(self, source: TopicPartition) -> bool:
        return source.topic in self.topics or source in self.partitions
