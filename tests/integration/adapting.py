"""A program, for `test_engine_health`: consumers at work with cooperative drivers, as in production, while another
connection locks their table for a while. Tells what moved.

Usage: python -m tests.integration.adapting on|off
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from consumers.concurrency import patch_for_command

    patch_for_command(["", "consume"])

import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()

from django.db import connection, transaction

from consumers.concurrency import Event, Permits, Scope, sleep
from consumers.database import release_connections
from consumers.engine.health import Health
from consumers.engine.runner import Runner
from consumers.settings import engine_settings
from consumers.testing import MemoryLog, MemorySource
from tests.makers import order
from tests.orders import TOPIC, OrderConsumer

PARTITIONS = LANES = 2
ENOUGH = 400
_BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


class Said(logging.Handler):
    """Keeps what the engine said of its moves."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class Play:
    """Consumers whose table is locked until they have noticed, and which work on until they have recovered."""

    def __init__(self, *, adaptive: bool) -> None:
        settings = replace(engine_settings(), lanes=LANES, adaptive=adaptive, min_writers=1)
        self.adaptive, self.said = adaptive, Said()
        logging.getLogger("consumers.engine.health").addHandler(self.said)
        self.health = Health(settings)
        self.log = MemoryLog({TOPIC: PARTITIONS})
        source = MemorySource(self.log, [TOPIC], "orders")
        self.runner = Runner(OrderConsumer(), source, settings, Permits(settings.permits), health=self.health)
        self.is_locked = Event()

    def run(self) -> dict[str, object]:
        """Play it to the end; returns the summary, the moves, and the limit while the table was locked."""
        with Scope() as scope:
            scope.spawn(self._lock)
            self.is_locked.wait()
            self._feed()
            running = scope.spawn(self.runner.run)
            scope.spawn(self.health.watch, 0.02)
            _until(lambda: not self.is_locked.is_set())
            while self.adaptive and not any("is over" in line for line in self.said.lines):
                self._feed()
                sleep(0.005)
            _until(lambda: self.runner.statistics.tally.written == sum(map(len, self.log.partitions.values())))
            self.runner.stop()
            running.join()
            scope.cancel()
        return {**self.runner.statistics.summary(), "moves": self.said.lines, "while_locked": self.while_locked}

    def _feed(self) -> None:
        """Never more than what is written soon, also on a machine that is busy otherwise."""
        waiting = sum(map(len, self.log.partitions.values())) - self.runner.statistics.tally.written
        for number in range(PARTITIONS * 20) if waiting < ENOUGH else ():
            self.log.append(TOPIC, order(), partition=number % PARTITIONS)

    def _lock(self) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE tests_order IN SHARE MODE")
            self.is_locked.set()
            _until(lambda: _blocked(cursor) == LANES)
            if self.adaptive:
                _until(lambda: self.health.gate.limit == 1)
            self.while_locked = self.health.gate.limit
        release_connections()
        self.is_locked.clear()


def _blocked(cursor: object) -> int:
    cursor.execute("SELECT pg_stat_clear_snapshot()")  # type: ignore[attr-defined]  (kept for a transaction otherwise)
    cursor.execute(_BLOCKED)  # type: ignore[attr-defined]
    return int(cursor.fetchone()[0])  # type: ignore[attr-defined]


def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        sleep(0.005)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(Play(adaptive=sys.argv[1] == "on").run()))
