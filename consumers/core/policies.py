"""Frozen policies: how much is taken at once, and when something is tried again. All clock-free."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from consumers.core.errors import FatalError, Misconfigured, TransientError


@dataclass(frozen=True, kw_only=True)
class BatchPolicy:
    """How records are pulled and cut. Sizes in records and bytes, times in seconds."""

    max_records: int = 8_000
    """A batch closes at this many records."""
    max_bytes: int = 8 * 1024 * 1024
    """A batch closes at this many bytes of payload; a single larger record is a batch of its own."""
    max_wait: float = 0.05
    """A batch closes this long after its first record, so that a quiet topic is not kept waiting. A busy one brings
    full batches anyway: while lanes are at work, more gathers than they take."""
    chunk_records: int = 2_000
    """A chunk, the unit of one transaction, holds at most this many records."""
    chunk_bytes: int = 4 * 1024 * 1024
    """A chunk holds at most this many bytes of payload; a single larger record is a chunk of its own."""
    record_bytes: int = 32 * 1024 * 1024
    """A record with a larger value fails as `too_large`, and only its head is kept."""

    def __post_init__(self) -> None:
        for name in ("max_records", "max_bytes", "chunk_records", "chunk_bytes", "record_bytes"):
            if getattr(self, name) < 1:
                raise Misconfigured(f"BatchPolicy.{name} must be at least 1, not {getattr(self, name)}")
        if self.max_wait < 0:
            raise Misconfigured(f"BatchPolicy.max_wait must not be negative, not {self.max_wait}")


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Exponential delays in seconds, with jitter that stays jitter at the cap."""

    first: float = 0.25
    factor: float = 2.0
    cap: float = 10.0
    jitter: float = 0.25

    def delay(self, attempt: int, rng: random.Random | None = None) -> float:
        """Seconds to wait after the given failed attempt, counted from 1; within `jitter` below the nominal delay."""
        nominal = min(self.cap, self.first * self.factor ** min(attempt - 1, 64))
        return nominal * (1.0 - self.jitter * (rng or random).random())


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """What an error of `process` means, and when the record is tried again: at once, in place, and later, once it is
    stored as failed. Times in seconds."""

    attempts: int = 3
    """Calls in all, the first included."""
    backoff: Backoff = field(default_factory=Backoff)
    """The pauses between them."""
    budget: float = 30.0
    """What retries may add to one chunk: none begins later than this after the chunk's first. It bounds what an ailing
    service can cost; its records are stored as failed and are due again `later`."""
    transient: tuple[type[BaseException], ...] = (TransientError, ConnectionError, TimeoutError)
    """Errors that may pass; any other error of `process`, but for the fatal ones, fails the record at once."""
    fatal: tuple[type[BaseException], ...] = ()
    """Errors that no record is to blame for and no retry will mend, such as a rejected credential: they stop the
    process, and nothing of the chunk is settled. A FatalError always is one."""
    later: float = 60.0
    """A record that a transient error failed is due again after so long, for `reprocess_failures --watch`. Doubles each
    time it fails in the same way, up to an hour. 0: it waits for an operator."""
    same_failures: int = 10
    """The loop guard: a record that failed in the same way so often is left to an operator."""
    hold_key: bool = False
    """With `order_by`: once a record has failed, later ones of its key and partition fail too, as `held_back`, until it
    is resolved or discarded. False lets them pass it."""

    def __post_init__(self) -> None:
        for name in ("attempts", "same_failures"):
            if getattr(self, name) < 1:
                raise Misconfigured(f"RetryPolicy.{name} must be at least 1, not {getattr(self, name)}")
        for name in ("budget", "later"):
            if getattr(self, name) < 0:
                raise Misconfigured(f"RetryPolicy.{name} must not be negative, not {getattr(self, name)}")

    def is_transient(self, error: BaseException) -> bool:
        return isinstance(error, self.transient)

    def is_fatal(self, error: BaseException) -> bool:
        return isinstance(error, (FatalError, *self.fatal))
