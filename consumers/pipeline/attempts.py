"""A record whose first call of `process` raised: what the error means, and whether it is worth another try."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consumers.concurrency import Deadline, Timeout, TooSlow, monotonic, sleep
from consumers.core.errors import FatalError, RecordError, release
from consumers.core.outcomes import Failure
from consumers.core.policies import RetryPolicy
from consumers.core.records import Record
from consumers.pipeline.failures import failure
from consumers.pipeline.units import Unit
from consumers.postgres.errors import is_outage

Verdict = Unit | Failure | Record
"""Rows, a failure, or a record that was skipped."""


class Attempts:
    """The further attempts on the records of one chunk, which share a budget."""

    def __init__(self, call: Callable[[Any], tuple[Any, ...]], policy: RetryPolicy, deadline: Deadline) -> None:
        """`call` makes the rows of an event; `deadline` bounds each call, and not the pauses between them."""
        self._call = call
        self._policy = policy
        self._deadline = deadline
        self._budget_ends: float | None = None

    def after(self, error: BaseException, record: Record, event: Any) -> Verdict:
        """What became of a record, after the error of its first attempt and perhaps of more.

        Raises:
            FatalError: from `process`, or an error that the policy calls fatal.
            Exception: an outage of the database.
        """
        attempt = 1
        while (failed := self._judge(record, error)) is None:
            pause = self._pause(attempt, error)
            if pause is None:
                return failure(record, error, "retries_exhausted", self._policy.later)
            self._deadline.begin(None)
            sleep(pause)
            self._deadline.begin(record)
            attempt += 1
            try:
                rows = self._call(event)
                return Unit(record, rows) if rows else record
            except (Exception, Timeout, TooSlow) as another:  # noqa: BLE001  (the last two are no Exceptions)
                error = another
            finally:
                release(error)
        return failed

    def _judge(self, record: Record, error: BaseException) -> Failure | None:
        """The record's failure; None if the error may pass."""
        if isinstance(error, TooSlow):
            return failure(record, error, "handler_timeout", self._policy.later)
        if isinstance(error, FatalError) or is_outage(error):
            raise error
        if self._policy.is_fatal(error):
            raise FatalError(f"{record}: process() met what its retry policy calls fatal: {error!r}") from error
        if isinstance(error, RecordError):
            return failure(record, error)
        return None if isinstance(error, Timeout) or self._policy.is_transient(error) else failure(record, error)

    def _pause(self, attempt: int, error: BaseException) -> float | None:
        """Seconds until the next attempt; None if there is none, since attempts or budget are used up."""
        if self._budget_ends is None:
            self._budget_ends = monotonic() + self._policy.budget
        pause = max(self._policy.backoff.delay(attempt), getattr(error, "retry_after", None) or 0.0)
        is_left = attempt < self._policy.attempts and monotonic() + pause <= self._budget_ends
        return pause if is_left else None
