"""How much is done at once, by the health of what does it: the limit on writers, and the size of chunks.

Each written chunk is a sample; every few seconds there is a look outside (`signals`). What follows from them is decided
in `core/limiter` and `core/sizing`; here it is measured, put into force, and said.

Not adapted is the number of `process` workers: what they wait for are services that neither the database nor the
processors tell anything of, workers that do not wait cost nothing, and a lane that may not write prepares no more than
one chunk ahead.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from consumers.concurrency import Permits, monotonic, sleep
from consumers.core.limiter import Limiter, Move, Signals, Written
from consumers.core.policies import BatchPolicy
from consumers.core.sizing import ChunkSize
from consumers.engine.events import Events
from consumers.engine.signals import SignalReader
from consumers.settings import EngineSettings

logger = logging.getLogger(__name__)

LOOK_EVERY = 2.0
IN_TROUBLE = 10
"""So many times as often while there is trouble: what holds writing up may be over at any moment."""


class Health:
    """Of one process, and shared by its consumers: how many of their lanes may write at once."""

    def __init__(self, settings: EngineSettings, look: Callable[[], Signals | None] | None = None) -> None:
        """`look` is a look outside, by default at the database and the machine.

        Raises:
            Misconfigured: the settings' bounds leave no room.
        """
        ceiling = min(settings.max_writers or settings.permits, settings.permits)
        self.floor, self.ceiling = min(settings.min_writers, ceiling), ceiling
        self._limiter = Limiter(self.floor, ceiling, os.cpu_count() or 1) if settings.adaptive else None
        self.gate = Permits(self._limiter.limit if self._limiter else ceiling)
        """Whoever writes goes through it."""
        self.writing = 0
        self.events = Events()
        self.last_move = ""
        self.is_ordered = False
        """Whether the limit is held by hand."""
        self.is_fixed = self._limiter is None
        self.moved_at = 0.0
        """When the limit was changed last."""
        self._look = look or SignalReader(settings.database).read
        self._written_since_look = 0

    def fix(self, limit: int | None) -> None:
        """Hold the limit by hand, and chunks at their full size; None lets both follow the health again, if they may by
        the settings."""
        self.is_ordered = limit is not None
        self.is_fixed = self.is_ordered or self._limiter is None
        if limit is not None:
            self._admit(limit)
        elif self._limiter is not None:
            self._limiter.resume(self.writing)
            self._admit(self._limiter.limit)
        else:
            self._admit(self.ceiling)

    def wrote(self, rows: float, seconds: float) -> None:
        """A chunk was just written; rows may be in any unit that stays the same."""
        self._written_since_look += 1
        if self._limiter is not None and not self.is_fixed:
            chunk = Written(monotonic(), rows, seconds, wanted=self.gate.waiting > 0)
            self._follow(self._limiter.wrote(chunk))

    @property
    def is_troubled(self) -> bool:
        """Whether something outside held writing up at the last look."""
        return self._limiter is not None and self._limiter.is_troubled

    def watch(self, every: float = LOOK_EVERY) -> None:
        """Look outside now and then, but not while nothing is written, until killed; run it in a scope."""
        while self._limiter is not None:
            sleep(every / IN_TROUBLE if self._limiter.is_troubled else every)
            if (self.writing or self._written_since_look) and not self.is_fixed:
                self._written_since_look = 0
                signals = self._look()
                self._follow(self._limiter.saw(signals) if signals is not None else None)

    def tell(self, what: str, before: int, move: Move) -> None:
        """Say a move, once."""
        self.last_move = f"{what} {before} to {move.value}: {move.reason}"
        logger.info("%s", self.last_move)
        self.events.add("limit", self.last_move)

    def _admit(self, limit: int) -> None:
        self.gate.limit, self.moved_at = limit, monotonic()

    def _follow(self, move: Move | None) -> None:
        if move is not None:
            before = self.gate.limit
            self._admit(move.value)
            if not move.is_turn:
                self.tell("writers at once", before, move)


class Pace:
    """Of one consumer: the size of its chunks, and the time that each takes."""

    def __init__(self, name: str, batch: BatchPolicy, settings: EngineSettings, health: Health) -> None:
        """`batch` is the consumer's own policy; its `chunk_records` is the most that a chunk may hold.

        Raises:
            Misconfigured: the settings' target makes no sense.
        """
        self.health = health
        self._full = self._adapted = batch
        self._name = name
        self._ordered: BatchPolicy | None = None
        self._size: ChunkSize | None = None
        if settings.adaptive:
            self._size = ChunkSize(settings.target_write_time, settings.min_chunk_records, batch.chunk_records)
        self._unit = self._usual_rows = 0.0
        self._sampled_at = 0.0

    @property
    def batch(self) -> BatchPolicy:
        """The policy in force now."""
        return self._ordered or (self._full if self.health.is_fixed else self._adapted)

    @property
    def ordered(self) -> int | None:
        """The size that chunks are held at by hand."""
        return self._ordered.chunk_records if self._ordered else None

    def order(self, chunk_records: int | None) -> None:
        """Hold chunks at this size by hand; None lets them follow the health again."""
        self._ordered = None if chunk_records is None else replace(self._full, chunk_records=chunk_records)

    @contextmanager
    def writing(self, rows: int, *, more: bool) -> Iterator[None]:
        """Around the writing of a chunk, inside the gate. Only where `more` waits to be written does the time count:
        an idle consumer has nothing to learn from."""
        start = monotonic()
        self.health.writing += 1
        try:
            yield
            if more and rows:
                self._wrote(rows, start, monotonic() - start)
        finally:
            self.health.writing -= 1

    def _wrote(self, rows: int, start: float, seconds: float) -> None:
        # A chunk's time depends on how many others are written, and all that are in one moment meet the same.
        if start >= max(self.health.moved_at, self._sampled_at):
            self._sampled_at = start + seconds
            self._resize(rows, seconds)
        self._usual_rows = 0.9 * self._usual_rows + 0.1 * rows if self._usual_rows else float(rows)
        if 2 * rows >= self._usual_rows:  # a row of a small chunk has more of the transaction's cost to bear
            self._unit = self._unit or seconds / rows  # consumers differ: each counts by its own first chunk
            self.health.wrote(rows * self._unit, seconds)

    @property
    def _is_held(self) -> bool:
        return self.health.is_fixed or self._ordered is not None

    def _resize(self, rows: int, seconds: float) -> None:
        """Smaller chunks would not wait less for what holds the database up."""
        if self._size is None or self._is_held or self.health.is_troubled:
            return
        move = self._size.wrote(rows, seconds)
        if move is not None:
            before, self._adapted = self._adapted.chunk_records, replace(self._adapted, chunk_records=move.value)
            self.health.tell(f"{self._name}: records in a chunk", before, move)
