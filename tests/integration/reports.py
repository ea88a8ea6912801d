"""A process of consumers over an in-memory log, reported to the test database as a real one is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from consumers.concurrency import Scope
from consumers.engine.process import ConsumerProcess
from consumers.engine.runner import Runner, RunOptions
from consumers.models import Control, ControlReply, Worker
from consumers.reporting.reporter import Reporter
from consumers.reporting.snapshot import ProcessReport, process_report
from consumers.testing import MemoryLog, MemorySource
from tests.integration.engine import settings_with, wait_until
from tests.orders import OrderConsumer


class Reported:
    """One process; `round` is what its reporter does every few seconds."""

    def __init__(self, log: MemoryLog, consumer: type[Any] = OrderConsumer, **changes: Any) -> None:
        self.log = log
        self.process = ConsumerProcess(
            [consumer],
            settings_with(commit_interval=0.0, **changes),
            RunOptions(),
            lambda each, group: MemorySource(log, each.topics, group),
        )
        self.reporter = Reporter(self.process)

    @property
    def runner(self) -> Runner:
        return self.process.runners[0]

    @property
    def report(self) -> ProcessReport:
        return process_report(self.process)

    @property
    def row(self) -> Worker:
        return Worker.objects.get(pk=self.reporter.worker)

    @contextmanager
    def running(self) -> Iterator[None]:
        """The consumers at work, and drained when the block ends."""
        with Scope() as scope:
            scope.spawn(self.runner.run)
            yield
            self.process.drain()

    def round(self) -> None:
        self.reporter._try(self.reporter._round)
        assert not self.reporter._trouble

    def settles(self, records: int) -> None:
        """Wait until so many records are settled in all."""
        wait_until(lambda: self.runner.statistics.tally.received >= records, f"{records} records")

    def answer(self, control: Control, state: str) -> str:
        """Round after round, until the order is answered with this state; the answer's text."""
        found: list[ControlReply] = []

        def is_answered() -> bool:
            self.round()
            found[:] = ControlReply.objects.filter(control=control, state=state)
            return bool(found)

        wait_until(is_answered, f"{state} to {control}")
        return found[0].text


def order_control(kind: str, **columns: Any) -> Control:
    """An order as the console leaves it."""
    return Control.objects.create(kind=kind, by="ada", **columns)


def take_back(control: Control) -> None:
    control.ended_at = control.at
    control.save()
