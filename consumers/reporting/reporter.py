"""A process's row in the database: written every few seconds, in the same round in which its orders are read.

Reports are for people to look at, so nothing may depend on them: they go by a connection of the pool's reserve, not of
the lanes', statements that take long are given up, and through an outage they are just not written.
"""

from __future__ import annotations

import logging
import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db import connections, transaction
from django.db.models.functions import Now

from consumers.concurrency import Timeout, heed_end, monotonic, sleep
from consumers.database import release_connections
from consumers.engine.events import Event
from consumers.engine.process import ConsumerProcess
from consumers.models import Worker, WorkerEvent, WorkerSample
from consumers.reporting.controls import Desk
from consumers.reporting.snapshot import ConsumerReport, ProcessReport, process_report, storable

logger = logging.getLogger(__name__)

SAMPLE_EVERY = 5.0
STATEMENT_TIMEOUT = 5_000
"""Milliseconds that a statement may take, and wait for a lock."""
LAST_WORD = 5.0
"""Seconds that the report at a process's end may take."""
_MOST_EVENTS = 500


class Reporter:
    """Reports one process, and passes on to it what operators order."""

    def __init__(self, process: ConsumerProcess) -> None:
        self.worker = uuid.uuid4()
        self._process = process
        self._using = process.settings.database
        self._desk = Desk(process, self.worker)
        self._events: deque[Event] = deque(maxlen=_MOST_EVENTS)
        self._is_known = False
        self._trouble = ""
        self._sampled_at = float("-inf")

    def run(self) -> None:
        """Report until killed; run it beside the consumers."""
        interval = self._process.settings.reporting_interval
        while True:
            began = monotonic()
            self._try(self._round)
            sleep(max(interval / 2, began + interval - monotonic()))

    def end(self, why: str = "") -> None:
        """The last report of a process that has stopped; `why` if it was not told to."""
        with Timeout(LAST_WORD, False):
            self._try(lambda: self._last_round(why))

    # ---- a round ----------------------------------------------------------------------------------------------------

    def _round(self) -> None:
        report = process_report(self._process)
        with transaction.atomic(using=self._using):
            self._bound_statements()
            self._write(report, report.state)
            self._sample(report)
            orders = self._desk.read()
        self._events.clear()
        self._desk.obey(orders)
        self._reply()

    def _last_round(self, why: str) -> None:
        report = process_report(self._process)
        state = Worker.State.FAILED if why else Worker.State.STOPPED
        self._events.append(Event(report.at, "stop", why or "stopped"))
        with transaction.atomic(using=self._using):
            self._bound_statements()
            self._write(report, state, why)
            self._sampled_at = float("-inf")
            self._sample(report)
        self._events.clear()
        self._desk.ended(why)
        self._reply()

    def _try(self, work: Callable[[], None]) -> None:
        """Do it, or say once that it does not work."""
        try:
            work()
        except Exception as error:  # noqa: BLE001  (no fault of reporting may stop the consumers)
            heed_end(error)
            if not self._trouble:
                logger.warning("cannot report to the database, trying on: %s", error)
            self._trouble = str(error) or repr(error)
        else:
            if self._trouble:
                logger.info("reports to the database again")
            self._trouble = ""
        finally:
            release_connections()

    def _bound_statements(self) -> None:
        with connections[self._using].cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT}")

    # ---- what is written --------------------------------------------------------------------------------------------

    def _write(self, report: ProcessReport, state: str, why: str = "") -> None:
        latest: dict[str, Any] = {
            "state": state if state in Worker.State.values else Worker.State.RUNNING,
            "why": storable(why),
            "report": report.as_dict(),
            "seen_at": Now(),
        }
        workers = Worker.objects.using(self._using)
        if not workers.filter(pk=self.worker).update(**latest):  # new, or forgotten in a long outage
            workers.create(pk=self.worker, **self._identity(report), **latest)
        if not self._is_known:
            self._is_known = True
            self._events.appendleft(Event(report.started_at, "start", f"started: {self._described(report)}"))
        self._write_events()

    def _identity(self, report: ProcessReport) -> dict[str, Any]:
        return {
            "host": report.host,
            "pid": report.pid,
            "version": report.version,
            "consumers": sorted({consumer.name for consumer in report.consumers}),
            "groups": sorted({consumer.group for consumer in report.consumers}),
            "started_at": datetime.fromtimestamp(report.started_at, UTC),
        }

    def _described(self, report: ProcessReport) -> str:
        version = f"version {report.version}, " if report.version else ""
        return version + ", ".join(f"{consumer.name} in group {consumer.group}" for consumer in report.consumers)

    def _write_events(self) -> None:
        for each in [self._process.health.events, *(runner.statistics.events for runner in self._process.runners)]:
            self._events.extend(each.take())
        WorkerEvent.objects.using(self._using).bulk_create(
            WorkerEvent(
                worker_id=self.worker,
                at=datetime.fromtimestamp(event.at, UTC),
                kind=event.kind,
                text=storable(event.text)[:2_000],
            )
            for event in sorted(self._events)
        )

    def _sample(self, report: ProcessReport) -> None:
        if monotonic() - self._sampled_at < SAMPLE_EVERY - 0.1:
            return
        self._sampled_at = monotonic()
        samples = [self._sample_of(consumer, report.limiter.limit) for consumer in report.consumers]
        WorkerSample.objects.using(self._using).bulk_create(samples)

    def _sample_of(self, consumer: ConsumerReport, limit: int) -> WorkerSample:
        lags: dict[str, dict[str, int]] = {}
        for each in consumer.partitions:
            if each.lag is not None:
                lags.setdefault(each.topic, {})[str(each.partition)] = each.lag
        tally = consumer.tally
        return WorkerSample(
            worker_id=self.worker,
            consumer=consumer.name,
            received=tally["received"],
            written=tally["written"],
            duplicates=tally["duplicates"],
            skipped=tally["skipped"],
            failed=tally["failed"],
            in_flight=consumer.in_flight,
            limit=limit,
            freshness=consumer.freshness if (consumer.settled_age or 0) < 2 * SAMPLE_EVERY else None,
            stages=consumer.stages,
            lags=lags,
        )

    def _reply(self) -> None:
        replies = self._desk.unsent()
        if replies:
            with transaction.atomic(using=self._using):
                self._bound_statements()
                self._desk.send(replies)
