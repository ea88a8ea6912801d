"""A database in memory with the manners of the real one: locks that are waited for, transactions that take effect as a
whole or not at all, commits whose answer is lost, outages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from django.db import OperationalError

from consumers.concurrency import Event, monotonic
from consumers.core.chunks import Chunk, Span
from consumers.core.ledger import Position
from consumers.core.outcomes import Tally
from consumers.core.records import TopicPartition

IDLE_TIMEOUT = 5.0
"""Seconds after which the server ends a transaction whose client says nothing, while another waits for it."""


class Place(NamedTuple):
    """Where a record lies."""

    source: TopicPartition
    offset: int


@dataclass
class Line:
    """A partition's line in the ledger."""

    start_offset: int
    next_offset: int
    counted_to: int
    epoch: int = 0
    tally: Tally = field(default_factory=Tally)
    missing: int = 0
    rows: int = 0

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.next_offset, self.counted_to)


class Client(Protocol):
    """Who runs statements."""

    def at(self, point: str, chunk: Chunk | None = None) -> None:
        """Called where a process can be frozen or killed, and where a statement takes its time."""

    def note(self, what: str, about: object = "") -> None:
        """Keep in mind what happened."""

    def hears_of_commit(self) -> bool:
        """Whether the answer to a COMMIT that took effect arrives."""


@dataclass
class Tables:
    """What is stored, or is about to be."""

    lines: dict[TopicPartition, Line] = field(default_factory=dict)
    rows: dict[str, Place] = field(default_factory=dict)
    """By the event's key: the record that wrote it."""
    failed: dict[Place, str] = field(default_factory=dict)
    """Reasons of records that are pending."""
    gaps: list[tuple[TopicPartition, Span]] = field(default_factory=list)
    settled: list[tuple[Place, str]] = field(default_factory=list)
    """What became of records, in order; a replay settles once more. No real database keeps this: it is how a test
    sees what an idempotency key would hide."""


class MemoryDatabase:
    """The server, and all that is committed."""

    def __init__(self) -> None:
        self.tables = Tables()
        self.locks: dict[object, Transaction] = {}
        self.is_down = False
        self.paused: set[TopicPartition] = set()
        """What an operator has ordered not to be read."""

    def go_down(self) -> None:
        """Until `is_down` is reset nothing is answered; what was open is rolled back."""
        self.is_down = True
        for transaction in self.open:
            transaction.roll_back()

    def drop(self, client: Client) -> None:
        """The client's connections are gone."""
        for transaction in self.open:
            if transaction.client is client:
                transaction.roll_back()

    @property
    def open(self) -> list[Transaction]:
        return list(dict.fromkeys(self.locks.values()))

    @contextmanager
    def transaction(self, client: Client) -> Iterator[Transaction]:
        transaction = Transaction(self, client)
        try:
            yield transaction
            transaction.commit()
        finally:
            transaction.roll_back()


class Transaction:
    """One client's transaction; rolled back unless it is committed."""

    def __init__(self, database: MemoryDatabase, client: Client) -> None:
        self.client = client
        self.new = Tables()
        self.resolved: list[Place] = []
        self.ended = Event()
        self._database = database
        self._locked: dict[object, None] = {}
        self._heard_at: float | None = monotonic()

    def statement(self, point: str, chunk: Chunk | None = None) -> None:
        """Send a statement and wait for its turn.

        Raises:
            OperationalError: the server is down, or has ended the transaction.
        """
        self._heard_at = monotonic()
        self.client.at(point, chunk)
        if self._database.is_down or self.ended.is_set():
            raise OperationalError(f"{point}: the connection is lost")

    def lock(self, what: object) -> None:
        """Wait until no other transaction holds this."""
        while (holder := self._database.locks.get(what, self)) is not self:
            self._heard_at = None
            self.client.note("waits for a lock", what)
            if not holder.ended.wait(holder.idle_time_left()) and holder.idle_time_left() <= 0:
                holder.roll_back()
            self._heard_at = monotonic()
            if self.ended.is_set():
                raise OperationalError(f"waiting for {what}: the connection is lost")
        self._database.locks[what] = self
        self._locked[what] = None

    def idle_time_left(self) -> float:
        """Seconds until the server ends it for its silence; one that waits for a lock is not silent."""
        return IDLE_TIMEOUT if self._heard_at is None else self._heard_at + IDLE_TIMEOUT - monotonic()

    def row(self, key: str) -> Place | None:
        return self.new.rows.get(key) or self._database.tables.rows.get(key)

    def line(self, source: TopicPartition) -> Line | None:
        """A copy to be changed; it takes effect with the commit."""
        found = self._database.tables.lines.get(source)
        return None if found is None else replace(found, tally=replace(found.tally))

    def commit(self) -> None:
        """Make all of it true at once.

        Raises:
            OperationalError: it did not take effect; or it did, and the answer is lost.
        """
        self.statement("before commit")
        self._apply(self._database.tables)
        self._release()
        self.client.at("after commit")
        if self._database.is_down or not self.client.hears_of_commit():
            raise OperationalError("the connection is lost in COMMIT")

    def roll_back(self) -> None:
        if not self.ended.is_set():
            self._release()

    def _apply(self, tables: Tables) -> None:
        tables.lines |= self.new.lines
        tables.rows |= self.new.rows
        tables.failed |= self.new.failed
        tables.gaps += self.new.gaps
        tables.settled += self.new.settled
        for place in self.resolved:
            tables.failed.pop(place, None)

    def _release(self) -> None:
        self.ended.set()
        for what in self._locked:
            del self._database.locks[what]
