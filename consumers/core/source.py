"""Where records come from, as the engine sees it. The broker's client and the in-memory source both keep to this."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from consumers.core.records import Record, TopicPartition

Offsets = Mapping[TopicPartition, int]


class Fetched(NamedTuple):
    """Records of one partition, ascending. `generation` tells which `start_at` they follow: those of an earlier one
    are leftovers and must be dropped."""

    source: TopicPartition
    generation: int
    records: Sequence[Record]


@dataclass
class Polled:
    """What one poll brought."""

    fetched: list[Fetched] = field(default_factory=list)
    ends: dict[TopicPartition, tuple[int, int]] = field(default_factory=dict)
    """Partitions whose end was reached: (generation, offset of the next record to come)."""
    assigned: list[TopicPartition] = field(default_factory=list)
    """Newly assigned and paused: nothing comes of them until `start_at`."""
    trigger: str = "time"
    """Why the batch closed: size, bytes, time or end."""
    refused: list[TopicPartition] = field(default_factory=list)
    """Partitions of which the broker has refused an earlier commit, in a rebalance for one."""
    notices: list[tuple[int, str]] = field(default_factory=list)
    """(logging level, text): what the client had to say."""
    broker: str = ""
    """What keeps the broker away, in an outage; empty while it answers."""


class Committed(NamedTuple):
    """A group's committed offset; `ours` tells whether this engine committed it."""

    offset: int
    ours: bool


class RebalanceListener(Protocol):
    """Told of partitions that go, from within `poll`."""

    def revoked(self, sources: Collection[TopicPartition]) -> Offsets:
        """Let go of partitions: settle what is in flight, within a bound. Returns what to commit for them."""
        ...

    def lost(self, sources: Collection[TopicPartition]) -> None:
        """Partitions are already another member's: drop them at once."""
        ...


class RecordSource(Protocol):
    """A member of a consumer group. All calls come from greenlets of one process; any may block its caller only.

    A passing fault of the broker never raises from `poll`; it shows in `notices`.

    Raises (any call): TransientError when the broker is out of reach and the caller may try again.
    """

    def open(self, listener: RebalanceListener, spawn: Callable[..., object]) -> None:
        """Check that the topics exist; the first poll joins the group. `spawn(task, *args)` starts what must run beside
        the polls.

        Raises:
            Misconfigured: a topic is missing, or the client's properties make no sense.
        """
        ...

    def poll(self, max_records: int, max_bytes: int, timeout: float) -> Polled:
        """Wait up to `timeout` seconds for records; also serves the group's protocol, so it must be called often."""
        ...

    def start_at(self, offsets: Offsets) -> dict[TopicPartition, int]:
        """Seek and resume partitions; returns the new generation of each that is still assigned."""
        ...

    def pause(self, sources: Collection[TopicPartition]) -> None:
        """Nothing more comes of these until `start_at`."""
        ...

    def commit(self, offsets: Offsets, *, wait: bool = False) -> None:
        """Tell the broker how far the group has come; for other tools, the ledger is what counts. With `wait` the
        broker has answered when this returns."""
        ...

    def committed(self, sources: Collection[TopicPartition]) -> dict[TopicPartition, Committed]:
        """What the group has committed; partitions without a commit are left out."""
        ...

    def watermarks(self, sources: Collection[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """(first offset there is, offset of the next record to come) of each partition."""
        ...

    def ends(
        self, sources: Collection[TopicPartition], stale: Collection[TopicPartition] = ()
    ) -> dict[TopicPartition, int]:
        """Offset of the next record to come of each partition, as the client has last heard by reading. Of those in
        `stale`, which are not read and so not heard of, the broker is asked, if it answers at once. What is unknown is
        left out; never raises for a broker out of reach."""
        ...

    def partitions(self) -> list[TopicPartition]:
        """All partitions of the topics, whoever holds them."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...
