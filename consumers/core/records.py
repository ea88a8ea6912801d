"""A record as it came from the log, and where it lay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import msgspec

Headers = tuple[tuple[str, bytes | None], ...]


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record: raw bytes and its position. `timestamp` is milliseconds since the epoch, None if the log has none."""

    source: TopicPartition
    offset: int
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    timestamp: int | None = None

    @property
    def topic(self) -> str:
        return self.source.topic

    @property
    def partition(self) -> int:
        return self.source.partition

    @property
    def position(self) -> tuple[TopicPartition, int]:
        """Where it stands in the log: what tells it from all others of its group."""
        return self.source, self.offset

    @property
    def size(self) -> int:
        """Bytes of payload held in memory by this record."""
        return len(self.value or b"") + len(self.key or b"")

    def __str__(self) -> str:
        return f"{self.source}@{self.offset}"


def by_source(records: Iterable[Record]) -> Counter[TopicPartition]:
    """How many there are of each partition. Records of one partition mostly follow each other and share its name, so
    that names are hashed for each run of them only."""
    counts: Counter[TopicPartition] = Counter()
    for source, run in groupby(map(_source, records)):
        counts[source] += len(list(run))
    return counts


_source = attrgetter("source")
_PAYLOAD = attrgetter("value"), attrgetter("key")


def total_size(records: Sequence[Record]) -> int:
    """Bytes of payload held in memory by these records; every record is weighed more than once."""
    return sum(sum(map(len, filter(None, map(part, records)))) for part in _PAYLOAD)
