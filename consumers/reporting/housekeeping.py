"""What any consuming process does now and then for all: work that is short, and may be left to another process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from consumers.alerts import deliver_due, judge
from consumers.concurrency import heed_end, monotonic, sleep
from consumers.database import release_connections
from consumers.engine.process import ConsumerProcess
from consumers.inbox.rollup import roll_up
from consumers.reporting.keeping import prune
from consumers.reporting.snapshot import ProcessReport, process_report
from consumers.settings import EngineSettings

logger = logging.getLogger(__name__)

_TICK = 0.5


@dataclass(frozen=True)
class Task:
    """Something short to do every so many seconds. Two processes may do it at once: it must take its own locks."""

    name: str
    every: float
    run: Callable[[ProcessReport], object]


def periodic_tasks(settings: EngineSettings) -> list[Task]:
    """What is to be done beside consuming. Each is given the process's report of that moment."""
    using = settings.database
    return [
        Task("pruning of reports", 60.0, lambda report: prune(using)),
        Task("the roll-up of failures", 2.0, lambda report: roll_up(using)),
        Task("judging lag", 5.0, lambda report: judge(report, using)),
        Task("delivering alerts", 2.0, lambda report: deliver_due(using, most=1)),
    ]


class Housekeeper:
    """Does the tasks of one process, one after the other, on one connection of the pool's reserve."""

    def __init__(self, process: ConsumerProcess, tasks: Sequence[Task]) -> None:
        self._process = process
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
            task.run(process_report(self._process))
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
