"""The partitions that this member holds, and how far each has come."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from consumers.core.records import TopicPartition


class Hold(Enum):
    """A partition's state in this member."""

    CLAIMING = "claiming"
    """Assigned and paused; the ledger is being asked."""
    ACTIVE = "active"
    LEAVING = "leaving"
    """Being revoked: what is in flight still settles, nothing new is taken."""
    FENCED = "fenced"
    """Another member has claimed it; ours by the group's word only."""
    GONE = "gone"


@dataclass
class Partition:
    """One assigned partition. Offsets: `position` is the next to be taken in, `settled` the next to be settled."""

    source: TopicPartition
    lane: int
    hold: Hold = Hold.CLAIMING
    epoch: int = 0
    generation: int = -1
    position: int = -1
    settled: int = -1
    committed: int = -1
    end: int = -1
    """Where its log ends, as last heard; -1 if nothing was heard."""
    paused: bool = False
    """The source brings nothing of it."""
    operator_paused: bool = False
    """Somebody has ordered that: it stays paused, whatever room there is, until the order is taken back."""
    claims: int = 0
    """Claims since a chunk was last settled."""
    fenced_at: float = 0.0

    @property
    def lag(self) -> int | None:
        """Records that are not settled; None while either end is unknown."""
        return max(0, self.end - self.settled) if self.end >= 0 <= self.settled else None

    @property
    def may_be_resumed(self) -> bool:
        """Whether it is paused for want of room only."""
        return self.paused and self.hold is Hold.ACTIVE and not self.operator_paused


class Partitions:
    """All partitions of this member, by source."""

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._held: dict[TopicPartition, Partition] = {}

    def add(self, source: TopicPartition) -> Partition:
        """Take on a newly assigned partition; it goes to the lane that has the fewest."""
        counts = [0] * self._lanes
        for other in self._held.values():
            counts[other.lane] += 1
        partition = self._held[source] = Partition(source, counts.index(min(counts)))
        return partition

    def remove(self, sources: Collection[TopicPartition]) -> None:
        for source in sources:
            partition = self._held.pop(source, None)
            if partition is not None:
                partition.hold = Hold.GONE

    def get(self, source: TopicPartition) -> Partition | None:
        return self._held.get(source)

    def active(self, source: TopicPartition) -> Partition | None:
        partition = self._held.get(source)
        return partition if partition is not None and partition.hold is Hold.ACTIVE else None

    def in_state(self, hold: Hold) -> list[Partition]:
        return [partition for partition in self._held.values() if partition.hold is hold]

    def under(self, source: TopicPartition, epoch: int) -> Partition | None:
        """The partition, if what was taken from it under this epoch is still to be written."""
        partition = self._held.get(source)
        if partition is None or partition.epoch != epoch or partition.hold not in (Hold.ACTIVE, Hold.LEAVING):
            return None
        return partition

    def __iter__(self) -> Iterator[Partition]:
        return iter(list(self._held.values()))

    def __len__(self) -> int:
        return len(self._held)


def names_of(sources: Iterable[TopicPartition]) -> str:
    """Partitions as a list for people."""
    return ", ".join(map(str, sorted(sources)))
