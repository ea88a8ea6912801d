"""Looking again and again for failed records that are due by themselves, and for retry runs; and processing them."""

from __future__ import annotations

import logging
import signal
from dataclasses import replace

from django.utils import timezone

from consumers.concurrency import Event, monotonic, on_signals
from consumers.core.errors import TransientError
from consumers.database import release_connections
from consumers.inbox.runs.work import work_one_slice
from consumers.inbox.tending import tend
from consumers.postgres.errors import describe, is_outage
from consumers.release import release_due
from consumers.reprocess import Result, Selection, reprocess
from consumers.settings import engine_settings

logger = logging.getLogger(__name__)

_PAUSE = 0.5
"""Seconds between two looks for retry runs."""


class Watch:
    """One watcher; any number may run at once, on any hosts: none takes a record that another one has in hand."""

    def __init__(self, selection: Selection, *, by: str, interval: float) -> None:
        """`selection` narrows down what is watched; `interval` is the pause between two looks, in seconds."""
        self._selection = selection
        self._by = by
        self._interval = interval
        self._using = engine_settings().database
        self._stopped = Event()

    def run(self) -> Result:
        """Watch until SIGTERM or SIGINT, or `stop`; returns what all looks together came to. An outage of the database
        is waited out.

        Raises:
            Misconfigured: a record's consumer is not registered any more.
        """
        total = Result()
        with on_signals({signal.SIGTERM: self.stop, signal.SIGINT: self.stop}):
            logger.info("watching for failed records that are due, every %g s", self._interval)
            while not self._stopped.is_set():
                self._look(total)
                self._work_on_runs()
        return total

    def stop(self) -> None:
        """End after the look at hand."""
        self._stopped.set()

    def _look(self, total: Result) -> None:
        try:
            released = release_due(self._using)
            result = reprocess(replace(self._selection, due_at=timezone.now()), by=self._by)
            tend(self._using)
        except TransientError as error:
            logger.warning("%s; looking again in %g s", error, self._interval)
        except Exception as error:
            if not is_outage(error):
                raise
            logger.warning("database outage, looking again in %g s: %s", self._interval, describe(error))
        else:
            self._tell(released, result)
            total.add(result)
        finally:
            release_connections()

    def _work_on_runs(self) -> None:
        """Until the next look: work on retry runs, whatever the selection, as long as any is due."""
        ends = monotonic() + self._interval
        while not self._stopped.is_set() and (left := ends - monotonic()) > 0:
            if not self._work_on_a_run():
                self._stopped.wait(min(left, _PAUSE))

    def _work_on_a_run(self) -> bool:
        try:
            return work_one_slice()
        except TransientError as error:
            logger.warning("%s", error)
            return False
        finally:
            release_connections()

    def _tell(self, released: int, result: Result) -> None:
        if result.attempted:
            logger.info(
                "%d failed records were due (%d just released): %d resolved, %d failed again",
                *(result.attempted, released, result.resolved, result.failed),
            )
