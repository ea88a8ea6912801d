"""The world of a group: log, database, clock and members; what can happen in it, and what must hold all the same."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

from consumers.concurrency import Scope, use_clock
from consumers.core.chunks import Chunk
from consumers.core.errors import DrainTimedOut, FencedEverywhere, Stuck
from consumers.core.orders import Pauses
from consumers.core.records import TopicPartition
from consumers.testing import MemoryLog
from tests.makers import order
from tests.orders import TOPIC
from tests.simulation.books import Books
from tests.simulation.clock import FakeClock
from tests.simulation.database import MemoryDatabase, Place
from tests.simulation.group import Group
from tests.simulation.member import Member

PARTITIONS = 4
PATIENCE = 300
"""Seconds, of the fake clock, within which all must be settled once nothing is amiss any more."""

_MAY_END_WITH = (DrainTimedOut, Stuck, FencedEverywhere)


class World:
    """Nothing moves in it but by `pass_time`. To be closed."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self._open = ExitStack()
        self._open.enter_context(use_clock(self.clock))
        self.scope = self._open.enter_context(Scope())
        self.log = MemoryLog({TOPIC: PARTITIONS})
        self.sources = list(self.log.partitions)
        self.group = Group(self.log)
        self.database = MemoryDatabase()
        self.members: list[Member] = []
        self.parent_is_there = False
        self.slowness = 0.0
        """Seconds that `process` waits on slow records."""
        self.drag = dict.fromkeys(self.sources, 0.0)
        """Seconds more that a statement takes on chunks with records of a partition."""
        self.trace: list[tuple[float, str, str, object]] = []
        self.sent: dict[Place, str] = {}
        """The kind of every record that is in the log."""
        self._keys: list[str] = []
        self._replayed: Counter[Place] = Counter()
        self._books = Books(self)

    def close(self) -> None:
        """End all members wherever they are, as the end of a test run would."""
        for member in self.members:
            member.is_dead = True
        self.scope.cancel()
        self._open.close()

    # ---- what can happen --------------------------------------------------------------------------------------------

    def pass_time(self, seconds: float = 0.0) -> None:
        self.clock.run(seconds)

    def start_member(self) -> Member:
        member = Member(self, len(self.members))
        self.members.append(member)
        return member

    @property
    def alive(self) -> list[Member]:
        return [member for member in self.members if member.is_alive]

    @property
    def at_work(self) -> list[Member]:
        return [member for member in self.members if member.is_at_work]

    def produce(self, source: TopicPartition, kind: str) -> None:
        record = self.log.append(TOPIC, self._value(source, kind), partition=source.partition)
        self.sent[Place(source, record.offset)] = kind
        for member in self.members:
            member.source.arrived.set()

    def _value(self, source: TopicPartition, kind: str) -> bytes | None:
        if kind in ("tombstone", "garbage"):
            return None if kind == "tombstone" else b"{"
        if kind == "repeat" and self._keys:
            return order(self._keys[len(self.sent) * 7 % len(self._keys)])
        key = f"{source.partition}-{self.log.next[source]}"
        self._keys.append(key)
        return order(key, note=kind)

    def compact(self, source: TopicPartition, index: int) -> None:
        """Take a record out of the log, wherever its readers are."""
        records = self.log.partitions[source]
        if len(records) > 1:
            record = records.pop(index % (len(records) - 1))
            del self.sent[Place(source, record.offset)]

    def seek(self, source: TopicPartition, to: int) -> None:
        """An operator moves the group back, to read records once more; see `consumers.positions`."""
        line = self.database.tables.lines.get(source)
        if line is None or source in self.database.locks:
            return
        to = line.start_offset + to % (line.next_offset - line.start_offset + 1)
        self._replayed.update(where for where in self.sent if where.source == source and to <= where.offset)
        line.epoch += 1
        line.next_offset = to
        self._books.moved(source, to)

    def order_pause(self, source: TopicPartition) -> None:
        """An operator pauses a partition; who is at work hears of it, and who comes later finds the order."""
        self.database.paused.add(source)
        self._tell_orders()

    def take_orders_back(self) -> None:
        self.database.paused.clear()
        self._tell_orders()

    def _tell_orders(self) -> None:
        for member in self.alive:
            member.runner.orders.pause(Pauses(partitions=frozenset(self.database.paused)))

    def tell_of_moves(self) -> None:
        """Who is at work hears that the ledger was moved, and need not wait to be fenced."""
        for member in self.alive:
            member.runner.orders.claim_again(self._books.moves)

    def duration(self, member: Member, chunk: Chunk | None) -> float:
        """Seconds that a statement takes."""
        return member.pace + max((self.drag[source] for source in chunk.spans), default=0.0) if chunk else member.pace

    def note(self, member: Member, what: str, about: object) -> None:
        self.trace.append((self.clock.now, str(member), what, about))

    # ---- what must hold ---------------------------------------------------------------------------------------------

    def allows(self, where: Place) -> int:
        """How often a record may have been settled."""
        return 1 + self._replayed[where]

    def check(self) -> None:
        """What must hold at any moment."""
        for member in self.members:
            if member.error is not None and not isinstance(member.error, _MAY_END_WITH):
                raise AssertionError(f"{member} has ended with {member.error!r}") from member.error
            member.check()
        self._books.check()

    def come_to_rest(self) -> None:
        """End all trouble; then every record must come to its end, and every member must stop when it is told."""
        self._end_trouble()
        for _ in range(PATIENCE):
            if self._books.are_closed():
                break
            if not self.alive:
                self.start_member()
            self.group.deal_out(self.alive)
            self.pass_time(1.0)
            self._tell_orders()  # again and again, as in every report's round
            self.check()
        assert self._books.are_closed(), f"not settled {PATIENCE} s after the last trouble: {self._books.open()}"
        self._stop_all()
        self.check()
        self._books.check_outcomes()

    def _end_trouble(self) -> None:
        self.database.is_down = self.group.broker_is_down = False
        self.take_orders_back()
        self.slowness = 0.0
        self.drag = dict.fromkeys(self.sources, 0.0)
        for member in self.members:
            member.stops.clear()
            member.pace = 0.001
            if member.is_frozen:
                member.wake()
            if member.is_dead:
                self.group.left(member)
        for source in self._books.moves:
            self.produce(source, "good")  # a member at the end of the log notices that the group was moved with this

    def _stop_all(self) -> None:
        for member in self.alive:
            member.stop()
        self.pass_time(15.0)
        assert not self.alive, f"{self.alive[0]} does not stop"
        assert not self.clock.waiting, "a greenlet has outlived its member"
        assert not self.database.locks, "a lock has outlived its transaction"
