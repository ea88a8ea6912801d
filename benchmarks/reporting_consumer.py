"""A consumer of clicks that reports in every other window of time, and prints what each window took: seconds of
processor, those of reporting's own greenlets, seconds of the clock, and records settled.

Usage: python -m benchmarks.reporting_consumer LOAD WINDOWS SECONDS

LOAD is "full", records made as fast as they are taken, or "idle", none at all. On and off alternate within one process,
so that neither its warming up nor what else the machine does falls to one side only.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import django
import greenlet

from consumers.concurrency import patch_for_command

if __name__ == "__main__":
    patch_for_command(["", "consume"])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()

from ads.models import Campaign
from benchmarks.adapt_consumer import EndlessSource
from consumers import registry
from consumers.concurrency import Scope, sleep
from consumers.database import release_connections
from consumers.engine.process import ConsumerProcess
from consumers.engine.runner import RunOptions
from consumers.reporting import reporting
from consumers.settings import engine_settings
from consumers.testing import MemoryLog, MemorySource

PARTITIONS = 6
WARM_UP = 5.0

Task = Callable[[], None]


class IdleSource(MemorySource):
    """A log in which nothing happens; polled as often as a broker's."""

    def wait(self, timeout: float) -> None:
        sleep(timeout)


class OwnTime:
    """Processor time of some greenlets, told apart from all others at each switch: what comes of a small thing among
    large ones, where the difference of two whole times is lost in their noise."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._greenlets: set[Any] = set()
        self._since = 0.0

    def of(self, spawned: Any) -> None:
        """Count this greenlet."""
        self._greenlets.add(spawned)

    def __enter__(self) -> OwnTime:
        self._since = time.thread_time()
        self._before = greenlet.settrace(self._switched)
        return self

    def __exit__(self, *exc_info: object) -> None:
        greenlet.settrace(self._before)

    def _switched(self, event: str, places: tuple[Any, Any]) -> None:
        now = time.thread_time()
        if places[0] in self._greenlets:
            self.seconds += now - self._since
        self._since = now


class Windows:
    """Lets reporting run in every other window, in the order off on on off, and measures each."""

    def __init__(self, process: ConsumerProcess, tasks: Sequence[Task], number: int, seconds: float) -> None:
        self._process = process
        self._tasks = tasks
        self._number = number
        self._seconds = seconds
        self.took: list[dict[str, float]] = []

    def run(self) -> None:
        """Run it beside the consumers; drains the process at the end."""
        for is_on in (True, False):
            self._window(is_on, WARM_UP)
        for number in range(self._number):
            self.took.append(self._window(number % 4 in (1, 2), self._seconds))
        self._process.drain()

    def _window(self, is_on: bool, seconds: float) -> dict[str, float]:
        with Scope() as scope, OwnTime() as own:
            cpu, clock, settled = time.process_time(), time.monotonic(), self._settled
            for task in self._tasks if is_on else ():
                own.of(scope.spawn(task))
            sleep(seconds)
            scope.cancel()
        return {
            "on": float(is_on),
            "cpu": time.process_time() - cpu,
            "own": own.seconds,
            "seconds": time.monotonic() - clock,
            "records": self._settled - settled,
        }

    @property
    def _settled(self) -> int:
        return self._process.runners[0].statistics.tally.received


def main(load: str, number: int, seconds: float) -> None:
    logging.getLogger("consumers").setLevel(logging.WARNING)
    campaigns = sorted(Campaign.objects.values_list("pk", flat=True))
    release_connections()

    def source(consumer: Any, group: str) -> MemorySource:
        if load == "full":
            return EndlessSource(consumer.topics, group, PARTITIONS, campaigns)
        return IdleSource(MemoryLog(dict.fromkeys(consumer.topics, PARTITIONS)), consumer.topics, group)

    # A log that begins anew is another group's.
    options = RunOptions(group=f"bench-{uuid.uuid4().hex[:8]}")
    process = ConsumerProcess([registry.get("clicks")], engine_settings(), options, source)
    with reporting(process) as tasks:
        windows = Windows(process, tasks, number, seconds)
        process.run(windows.run)
    print(json.dumps(windows.took))  # noqa: T201  (a program)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
