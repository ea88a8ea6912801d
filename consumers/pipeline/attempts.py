"""One record's calls of `process`: what an error means, and whether it is worth another try."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consumers.concurrency import Timeout, TooSlow, monotonic, sleep
from consumers.core.errors import FatalError, RecordError
from consumers.core.outcomes import Failure
from consumers.core.policies import RetryPolicy
from consumers.core.records import Record
from consumers.pipeline.failures import failure
from consumers.pipeline.units import Unit
from consumers.postgres.errors import is_outage

Verdict = Unit | Failure | Record
"""Rows, a failure, or a record that was skipped."""


class Attempts:
    """The attempts on the records of one chunk, which share a budget."""

    def __init__(self, call: Callable[[Any], tuple[Any, ...]], policy: RetryPolicy) -> None:
        """`call` makes the rows of an event."""
        self._call = call
        self._policy = policy
        self._budget_ends: float | None = None

    def verdict(self, record: Record, event: Any) -> Verdict:
        """What became of a record, after one attempt or several.

        Raises:
            FatalError: from `process`, or an error that the policy calls fatal.
            Exception: an outage of the database.
        """
        attempt = 1
        while True:
            try:
                rows = self._call(event)
                return Unit(record, rows) if rows else record
            except (Exception, Timeout, TooSlow) as error:  # noqa: BLE001  (the last two are no Exceptions)
                failed = self._judge(record, error)
                if failed is not None:
                    return failed
                pause = self._pause(attempt, error)
                if pause is None:
                    return failure(record, error, "retries_exhausted", self._policy.later)
            sleep(pause)
            attempt += 1

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
        """Seconds until the next attempt; None if there is none."""
        if attempt >= self._policy.attempts:
            return None
        pause = max(self._policy.backoff.delay(attempt), getattr(error, "retry_after", None) or 0.0)
        if self._budget_ends is None:
            self._budget_ends = monotonic() + self._policy.budget
        return pause if monotonic() + pause <= self._budget_ends else None
