"""Holding on through an outage: the same work is tried again until the database is well, and nothing is given up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeVar

from consumers.concurrency import Permits, heed_end, monotonic, sleep
from consumers.core.policies import Backoff
from consumers.database import connection_scope
from consumers.engine.events import Events
from consumers.postgres.errors import describe, is_outage

logger = logging.getLogger(__name__)

R = TypeVar("R")


class Abandoned(Exception):
    """The work is no longer wanted: its partitions are gone, or the process stops."""


class Holder:
    """Runs units of database work under a permit, and holds them through outages."""

    def __init__(self, permits: Permits, backoff: Backoff | None = None) -> None:
        self._permits = permits
        self._backoff = backoff or Backoff(first=0.2, cap=5.0)
        self.holding: dict[str, str] = {}
        """What is held at the moment, and why."""
        self.held_at = 0.0
        """When an outage last held something, in monotonic seconds."""
        self.events = Events()
        """Told when an outage begins and ends."""
        self.outages = 0
        """How often an outage began to hold something that was not held already."""

    @property
    def told(self) -> str:
        """All that is held, and why, for people."""
        return "; ".join(f"{what}: {why}" for what, why in self.holding.items())

    def run(
        self,
        work: Callable[[], R],
        what: str,
        wanted: Callable[[], bool] = lambda: True,
        gate: Permits | None = None,
        *,
        connects: bool = True,
    ) -> R:
        """The result of `work`, which is repeated, with growing pauses, for as long as the database has an outage. With
        a `gate`, each attempt waits for its turn there first, while it holds no connection. Work that does not connect
        to the database needs no permit.

        Raises:
            Abandoned: `wanted` said no between two attempts.
            Exception: any error of `work` that is not an outage.
        """
        attempt = 0
        try:
            while True:
                try:
                    with gate or nullcontext(), self._permits if connects else nullcontext(), connection_scope():
                        result = work()
                except Exception as error:
                    heed_end(error)  # a rollback on a connection that was left in mid-statement fails as well
                    if not is_outage(error):
                        raise
                    attempt += 1
                    self._note(what, error, attempt)
                else:
                    if attempt:
                        logger.warning("database is back after %d attempts: %s goes on", attempt, what)
                        self.events.add("outage", f"the database is back after {attempt} attempts: {what} goes on")
                    return result
                self._pause(attempt, what, wanted)
        finally:
            self.holding.pop(what, None)

    def _note(self, what: str, error: BaseException, attempt: int) -> None:
        reason = describe(error)
        if not self.holding:
            self.outages += 1
            self.events.add("outage", f"the database does not answer, {what} is held: {reason}")
        self.holding[what] = reason
        self.held_at = monotonic()
        if attempt & (attempt - 1) == 0:  # 1, 2, 4, 8 ..: an outage is said, not sung
            logger.warning("database outage, holding %s (attempt %d): %s", what, attempt, reason)

    def _pause(self, attempt: int, what: str, wanted: Callable[[], bool]) -> None:
        left = self._backoff.delay(attempt)
        while left > 0:
            if not wanted():
                raise Abandoned(what)
            sleep(min(left, 0.1))
            left -= 0.1
