"""Consumers in one process: each its own member of its own group, all on one set of database permits."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Sequence
from time import time
from typing import Any

from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from consumers.concurrency import Permits, Scope, Watchdog, on_signals
from consumers.consumer import BatchConsumer
from consumers.core.errors import Misconfigured
from consumers.core.source import RecordSource
from consumers.database import forbid_queries_in_workers, release_connections
from consumers.engine.collector import calm_collector
from consumers.engine.health import Health
from consumers.engine.runner import Runner, RunOptions
from consumers.postgres.errors import describe
from consumers.postgres.probe import probe
from consumers.settings import EngineSettings

logger = logging.getLogger(__name__)

MakeSource = Callable[[BatchConsumer[Any, Any], str], RecordSource]


class ConsumerProcess:
    """Runs some consumers until all have drained. The first SIGTERM or SIGINT drains, the second aborts."""

    def __init__(
        self,
        consumers: Sequence[type[BatchConsumer[Any, Any]]],
        settings: EngineSettings,
        options: RunOptions,
        make_source: MakeSource,
    ) -> None:
        """`make_source(consumer, group)` joins a consumer to its group. The database is looked at first, so that no
        client of the broker is made, and left behind, for nothing.

        Raises:
            Misconfigured: the database does not answer, or lacks tables; or as `make_source`.
        """
        check_database(settings.database)
        permits = Permits(settings.permits)
        self.health = Health(settings)
        self.aborted = False
        self.runners: list[Runner] = []
        self.settings = settings
        self.started_at = time()
        for each in consumers:
            consumer = each()
            source = make_source(consumer, options.group or consumer.name)
            self.runners.append(Runner(consumer, source, settings, permits, options, health=self.health))

    def run(self, *beside: Callable[[], None]) -> None:
        """Consume; the functions in `beside` run in greenlets meanwhile and end with it.

        Raises:
            ConsumerError: what stopped a consumer; the others have been cancelled.
        """
        forbid_queries_in_workers()
        drain: dict[int, Callable[[], None]] = {signal.SIGTERM: self._signalled, signal.SIGINT: self._signalled}
        with calm_collector(), Scope() as self._scope, on_signals(drain):
            if self.settings.stuck_timeout:
                self._scope.spawn(Watchdog(round(self.settings.stuck_timeout)).beat)
            self._scope.spawn(self.health.watch)
            running = [self._scope.spawn(runner.run) for runner in self.runners]
            for task in beside:
                self._scope.spawn(task)
            for each in running:
                each.join()
            self._scope.cancel()

    def drain(self) -> bool:
        """Ask all consumers to stop; returns whether any was still running."""
        return sum(runner.stop() for runner in self.runners) > 0

    def _signalled(self) -> None:
        if self.drain():
            logger.info("draining: chunks in flight will settle; a second signal aborts")
            return
        self.aborted = True
        self._scope.cancel()


def check_database(using: str) -> None:
    """Check that the database answers and has the project's tables.

    Raises:
        Misconfigured: it does not; the message says what to do.
    """
    try:
        probe(using)
        executor = MigrationExecutor(connections[using])
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Exception as error:
        raise Misconfigured(f"the database does not answer: {describe(error)}. Check DATABASE_URL.") from error
    finally:
        release_connections()
    if pending:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in pending[:3])
        raise Misconfigured(f"the database lacks tables ({names} not applied): run manage.py migrate first")
