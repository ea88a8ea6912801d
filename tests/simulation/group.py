"""A consumer group by hand: who holds which partition, and how that is told to the members."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from consumers.concurrency import Event, monotonic
from consumers.core.errors import TransientError
from consumers.core.records import TopicPartition
from consumers.core.source import Committed, Fetched, Offsets, Polled, RebalanceListener
from consumers.testing import MemoryLog, MemorySource

if TYPE_CHECKING:
    from tests.simulation.member import Member


class Group:
    """The coordinator. A partition has one holder at most; a member that does not answer hears late that it has lost
    what it held."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.broker_is_down = False
        self.holder: dict[TopicPartition, Member | None] = dict.fromkeys(log.partitions)
        self._next: dict[TopicPartition, Member] = {}
        """Partitions whose holder was asked to let go, and who is to have them."""

    def hand_over(self, source: TopicPartition, to: Member) -> None:
        """Cooperatively: the holder settles what is in flight, and then lets go."""
        holder = self.holder[source]
        if holder is None or not holder.is_at_work:
            self.take_over(source, to)
        elif holder is not to:
            if source not in self._next:
                holder.source.revoke(source)
                holder.source.arrived.set()
            self._next[source] = to

    def take_over(self, source: TopicPartition, to: Member) -> None:
        """Abruptly: as if the holder's session had timed out."""
        holder = self.holder[source]
        if holder is not None:
            holder.source.lose(source)
            holder.source.arrived.set()
        self._give(source, to)

    def let_go(self, source: TopicPartition, member: Member) -> None:
        """A member has let go of what it was asked for; what was taken from it meanwhile is not its to give."""
        if self.holder[source] is member and source in self._next:
            self._give(source, self._next[source])

    def left(self, member: Member) -> None:
        """A member has gone, or was thought dead."""
        for source in self.held_by(member):
            member.source.lose(source)
            self.holder[source] = None
            self._next.pop(source, None)

    def held_by(self, member: Member) -> list[TopicPartition]:
        return [source for source, holder in self.holder.items() if holder is member]

    def deal_out(self, members: Collection[Member]) -> None:
        """Give partitions that nobody holds to the members that have the fewest."""
        for source, holder in self.holder.items():
            if holder is None:
                self._give(source, min(members, key=lambda member: len(self.held_by(member))))

    def _give(self, source: TopicPartition, to: Member) -> None:
        self._next.pop(source, None)
        self.holder[source] = to if to.is_alive else None
        if to.is_alive:
            to.source.assign(source)
            to.source.arrived.set()


class GroupSource(MemorySource):
    """A member's source. Like the broker's client it hands out, after a seek, what it had fetched before."""

    def __init__(self, group: Group, member: Member, topics: Collection[str], name: str) -> None:
        super().__init__(group.log, topics, name, assign_all=False)
        self.arrived = Event()
        self._member = member
        self._coordinator = group
        self._leftovers: list[Fetched] = []
        self._was_at: dict[TopicPartition, int] = {}

    def redeliver(self, source: TopicPartition, count: int) -> None:
        """Hand out the latest records once more, as after a seek that nobody asked for."""
        position = self._positions.get(source)
        if position is not None:
            self._positions[source] = max(self.log.first[source], position - count)
            self.arrived.set()

    def brings(self, source: TopicPartition) -> bool:
        """Whether a poll may bring records of it."""
        return self._positions.get(source) is not None

    def open(self, listener: RebalanceListener, spawn: Callable[..., object]) -> None:
        super().open(Patient(listener, self._member), spawn)

    def poll(self, max_records: int, max_bytes: int, timeout: float) -> Polled:
        self._member.at("poll")
        polled = super().poll(max_records, max_bytes, timeout)
        polled.fetched[:0], self._leftovers = self._leftovers, []
        return polled

    def wait(self, timeout: float) -> None:
        self.arrived.wait(timeout)
        self.arrived.clear()

    def start_at(self, offsets: Offsets) -> dict[TopicPartition, int]:
        for source in offsets:
            if source in self._positions and source in self._was_at:
                self._leave(source)
        return super().start_at(offsets)

    def pause(self, sources: Collection[TopicPartition]) -> None:
        self._remember(sources)
        super().pause(sources)

    def let_go(self, sources: Collection[TopicPartition]) -> None:
        self._remember(sources)
        super().let_go(sources)
        for source in sources:
            self._coordinator.let_go(source, self._member)

    def commit(self, offsets: Offsets, *, wait: bool = False) -> None:
        self._member.at("broker commit")
        self._reach_broker()
        held = self._coordinator.held_by(self._member)
        super().commit({source: offset for source, offset in offsets.items() if source in held})

    def committed(self, sources: Collection[TopicPartition]) -> dict[TopicPartition, Committed]:
        self._reach_broker()
        return super().committed(sources)

    def watermarks(self, sources: Collection[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        self._reach_broker()
        return super().watermarks(sources)

    def close(self) -> None:
        super().close()
        if not self._member.is_dead:
            self._coordinator.left(self._member)

    def _reach_broker(self) -> None:
        if self._coordinator.broker_is_down:
            raise TransientError("the broker is down")

    def _remember(self, sources: Collection[TopicPartition]) -> None:
        for source in sources:
            position = self._positions.get(source)
            if position is not None:
                self._was_at[source] = position

    def _leave(self, source: TopicPartition) -> None:
        """What was on its way when the partition was paused, taken away or moved comes after the seek."""
        position = self._positions[source]
        position = self._was_at[source] if position is None else position
        records = [record for record in self.log.partitions[source] if record.offset >= position]
        if records:
            self._leftovers.append(Fetched(source, self._generations[source], records))


class Patient:
    """Passes on what the group reports, and looks whether a revoke that had its time left nothing undone."""

    def __init__(self, listener: RebalanceListener, member: Member) -> None:
        self._listener = listener
        self._member = member

    def revoked(self, sources: Collection[TopicPartition]) -> Offsets:
        began = monotonic()
        self._member.note("revoked", sources)
        settled = self._listener.revoked(sources)
        if monotonic() - began < self._member.settings.revoke_timeout - 0.01:
            undone = {source for source in sources if self._member.has_in_flight(source)}
            assert not undone, f"{self._member} let go of {undone} with chunks in flight, although there was time"
        return settled

    def lost(self, sources: Collection[TopicPartition]) -> None:
        self._member.note("lost", sources)
        self._listener.lost(sources)
