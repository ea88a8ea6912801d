"""What any consuming process does now and then for all: work that is short, and may be left to another process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from consumers.alerts import deliver_due
from consumers.concurrency import heed_end, monotonic, sleep
from consumers.database import release_connections
from consumers.engine.process import ConsumerProcess
from consumers.inbox.rollup import roll_up
from consumers.reporting.judging import judge
from consumers.reporting.keeping import prune
from consumers.reporting.snapshot import process_report

logger = logging.getLogger(__name__)

_TICK = 0.5


@dataclass(frozen=True)
class Task:
    """Something short to do every so many seconds. Two processes may do it at once: it must take its own locks."""

    name: str
    every: float
    run: Callable[[], object]


def housekeepers(process: ConsumerProcess) -> list[Housekeeper]:
    """All that is to be done beside consuming. Delivery has a housekeeper of its own: a receiver that does not answer
    keeps it for seconds, and is to delay nothing else."""
    using = process.settings.database
    tending = [
        Task("pruning of reports", 60.0, lambda: prune(using)),
        Task("the roll-up of failures", 2.0, lambda: roll_up(using)),
        Task("judging lag", 5.0, lambda: judge(process_report(process), using)),
    ]
    delivery = [Task("delivering alerts", 2.0, lambda: deliver_due(using, most=1))]
    return [Housekeeper(tending), Housekeeper(delivery)]


class Housekeeper:
    """Does some tasks, one after the other, on a connection of the pool's reserve."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._done_at = dict.fromkeys(tasks, monotonic())
        self._failing: set[Task] = set()

    def run(self) -> None:
        """Until killed; run it beside the consumers."""
        while True:
            sleep(_TICK)
            for task in self._tasks:
                if monotonic() - self._done_at[task] >= task.every:
                    self._do(task)

    def _do(self, task: Task) -> None:
        try:
            task.run()
        except Exception as error:  # noqa: BLE001  (no fault of housekeeping may stop the consumers)
            heed_end(error)
            if task not in self._failing:
                logger.warning("%s failed, and is tried again every %g s: %s", task.name, task.every, error)
            self._failing.add(task)
        else:
            self._failing.discard(task)
        finally:
            release_connections()
            self._done_at[task] = monotonic()
