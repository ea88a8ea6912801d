"""The error tree: bad data (never retried), passing trouble (retried), and what must stop the process.

A docstring is the default message; facts are attributes. Errors of the driver and the broker's client are translated
into this tree at their own edge.
"""

from __future__ import annotations

import traceback
from typing import Any, NoReturn


class ConsumerError(Exception):
    """Something went wrong while consuming."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class RecordError(ConsumerError):
    """The record itself is bad: it becomes a FailedRecord and its neighbours go on."""

    def __init__(
        self,
        reason: str,
        message: str | None = None,
        *,
        retry_after: float | None = None,
        waits_for: tuple[type[Any], Any] | None = None,
        **facts: Any,
    ) -> None:
        """`reason` is the code that groups failures; `facts` are shown with the failed record. It may be due again
        `retry_after` so many seconds, or once the row that it `waits_for` is there: (model, primary key)."""
        detail = ", ".join(f"{name}={value!r}" for name, value in facts.items())
        super().__init__(message or (f"{reason}: {detail}" if detail else reason))
        self.reason = reason
        self.retry_after = retry_after
        self.waits_for = waits_for
        self.facts = facts


class TooLarge(RecordError):
    """The record's value is larger than its consumer takes."""

    REASON = "too_large"
    HEAD = 64 * 1024
    """Bytes that are kept of it."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            self.REASON,
            f"the value has {size:,} bytes, more than BatchPolicy.record_bytes = {limit:,}; its first {self.HEAD:,} "
            "are kept. To take it after all, raise the limit and read it again with manage.py seek",
        )


class TransientError(ConsumerError):
    """Passing trouble, such as a time-out: the same record may well succeed later."""

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        """`retry_after`: do not try again sooner, in seconds."""
        super().__init__(message)
        self.retry_after = retry_after


class FatalError(ConsumerError):
    """The process must stop: nothing of the chunk at hand is settled."""


class BooksDoNotBalance(FatalError):
    """Written, duplicates, skipped and failed do not add up to what was received."""


class Flood(FatalError):
    """Too many records fail: stopped before a broken upstream turns into a flood of failed records."""


class Misconfigured(FatalError):
    """The configuration cannot work."""


class Stuck(FatalError):
    """A chunk makes no progress, and no outage explains it."""


class LogMadeAnew(FatalError):
    """The log ends before the ledger's position: its topic was deleted and made again, or has lost its end."""


class FencedEverywhere(FatalError):
    """Another member of the group has taken over every partition."""


class DrainTimedOut(FatalError):
    """In-flight chunks did not settle before the drain's deadline."""


class Fenced(ConsumerError):
    """The ledger's epoch is no longer ours: another member has claimed the partition."""

    def __init__(self, sources: Any) -> None:
        self.sources = frozenset(sources)
        super().__init__("fenced: " + ", ".join(sorted(map(str, self.sources))))


class Again(ConsumerError):
    """What was tried must be undone and done again, another way."""


def point_at(error: BaseException, place: int) -> None:
    """Note on an error which of the items at hand is probably to blame."""
    error.suspect = place  # type: ignore[attr-defined]


def pointed_at(error: BaseException) -> int | None:
    """What `point_at` noted."""
    return getattr(error, "suspect", None)


def release(error: BaseException) -> None:
    """Free what the frames of an error that has been dealt with hold: records, rows, a whole chunk. An error often is
    part of a cycle with its own frames, and would keep them until the garbage collector comes."""
    chain: list[BaseException] = [error]
    for each in chain:
        chain.extend(other for other in (each.__cause__, each.__context__) if other is not None and other not in chain)
        frames, each.__traceback__ = each.__traceback__, None
        traceback.clear_frames(frames)


def reject(
    reason: str,
    *,
    retry_after: float | None = None,
    waits_for: tuple[type[Any], Any] | None = None,
    **facts: Any,
) -> NoReturn:
    """Refuse a record from `process`: it is stored as failed under `reason`, with `facts` beside it.

    It may be due again by itself: `retry_after` so many seconds, or once the row is there that it `waits_for`, given as
    (model, primary key).

    Raises:
        RecordError: always.
    """
    raise RecordError(reason, retry_after=retry_after, waits_for=waits_for, **facts)
