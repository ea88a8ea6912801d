"""manage.py consume NAME...: run consumers until they are told to stop."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, ClassVar, NoReturn

from django.core.management.base import CommandError, CommandParser, SystemCheckError

from consumers import registry
from consumers.alerts.stopping import flood_told
from consumers.concurrency import is_patched
from consumers.consumer import BatchConsumer
from consumers.core.errors import ConsumerError, FatalError, Misconfigured
from consumers.core.source import RecordSource
from consumers.core.summaries import add_up, longest
from consumers.engine.process import ConsumerProcess
from consumers.engine.runner import AroundStorage, RunOptions
from consumers.engine.supervisor import command_line
from consumers.kafka.config import consumer_properties
from consumers.kafka.source import KafkaSource
from consumers.management.arguments import port, positive
from consumers.management.examples import ExampleCommand
from consumers.management.liveview import LiveView
from consumers.management.member import Lifeline, command_of_member
from consumers.postgres.errors import describe
from consumers.reporting import reporting
from consumers.settings import EngineSettings, engine_settings
from consumers.telemetry.logs import JsonFormatter
from consumers.telemetry.traces import tracing
from consumers.telemetry.web import serving

logger = logging.getLogger("consumers")

ABORTED = 130

_MISSING = ("42501", "42P01", "42703", "3F000")
"""Of PostgreSQL's SQLSTATEs those of a right, a table, a column or a schema that is missing."""


class Command(ExampleCommand):
    help = "Consume topics into the database. Ctrl-C or SIGTERM drains and stops; a second one aborts."
    examples = (
        ("consume clicks", "until Ctrl-C; on a terminal with a live view, elsewhere with a line of log a batch"),
        ("consume clicks impressions --until-end --json", "what is there now; the counts on stdout"),
        (
            "consume clicks --processes 4 --metrics-port 9400",
            "four members of the group, watched; metrics and health for all at port 9400",
        ),
        ("consume payments --group replay --max-records 1000", "the first thousand records, in a group of its own"),
    )

    consumers: ClassVar[Sequence[str]] = ()
    """Names of the consumers; a subclass that sets them takes none on the command line."""

    def add_arguments(self, parser: CommandParser) -> None:
        if not self.consumers:
            parser.add_argument("names", nargs="+", metavar="NAME", help=f"one of: {', '.join(registry.names())}")
        parser.add_argument("--group", default="", help="the consumer group; by default the consumer's name")
        parser.add_argument(
            "--until-end", action="store_true", help="stop once the end offsets seen at start are settled"
        )
        parser.add_argument("--max-records", type=positive, default=0, metavar="N", help="stop after N records")
        parser.add_argument("--chunk-size", type=positive, default=0, metavar="N", help="records in one transaction")
        parser.add_argument("--concurrency", type=positive, default=0, metavar="N", help="workers of process()")
        parser.add_argument("--json", action="store_true", help="print a summary as JSON on stdout at exit")
        parser.add_argument(
            "--processes",
            type=positive,
            default=0,
            metavar="N",
            help="run N processes, each a member of the group with a pool of connections of its own; one that dies is "
            "started again",
        )
        parser.add_argument(
            "--metrics-port",
            type=port,
            default=0,
            metavar="N",
            help="serve /metrics, /livez and /readyz there; with --processes for all, which use the ports above it",
        )
        parser.add_argument(
            "--metrics-host", default="", metavar="HOST", help="the address for it (default: 127.0.0.1)"
        )
        parser.add_argument("--member", type=positive, default=0, help=argparse.SUPPRESS)  # what --processes starts

    def check(self, *args: Any, **kwargs: Any) -> None:
        """As Django's; what the system checks find is a wrong configuration, and the exit code says so."""
        try:
            super().check(*args, **kwargs)
        except SystemCheckError as error:
            error.returncode = 2
            raise

    def handle(self, *args: Any, **options: Any) -> None:
        with ExitStack() as stack:
            self._consume(options, stack)

    def _consume(self, options: dict[str, Any], stack: ExitStack) -> None:
        try:
            if options["processes"]:
                self._supervise(options)
            settings = _of_member(_with_options(engine_settings(), options), options["member"])
            process = self._process(settings, options, stack.enter_context(tracing(settings.tracing)))
            lifeline = _lifeline(process) if options["member"] else None
            web = serving(process) if settings.metrics_port else None
        except ConsumerError as error:
            raise CommandError(str(error), returncode=2) from error
        try:
            self._run(process, lifeline, *([web.serve] if web else []))
        finally:
            if lifeline:
                lifeline.end()
            elif options["json"]:
                self.stdout.write(json.dumps(summary(process)))
        if process.aborted:
            sys.exit(ABORTED)

    def _supervise(self, options: dict[str, Any]) -> NoReturn:
        """Become the supervisor of processes that run this command.

        It is a fresh interpreter in the place of this one: the same process id, but without the patches, threads and
        clients that are loaded here, which a process that starts others is better off without.

        Raises:
            Misconfigured: this cannot be done with several processes.
        """
        for name in self.consumers or options["names"]:
            registry.get(name)
        if options["max_records"]:
            raise Misconfigured(
                "--max-records is counted by one process and cannot be shared out, since partitions differ: leave out "
                "--processes, or use --until-end"
            )
        if os.name != "posix":
            raise Misconfigured("--processes needs Linux or macOS: start the command several times instead")
        if not getattr(self, "_called_from_command_line", False):
            raise Misconfigured("--processes takes the place of the whole process: use it on the command line only")
        settings = _with_options(engine_settings(), options)
        metrics = settings.metrics_host, settings.metrics_port
        command = command_of_member(sys.orig_argv)
        log_json = any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)
        supervisor = command_line(options["processes"], options["json"], command, metrics, log_json=log_json)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(supervisor[0], supervisor)  # noqa: S606  (our own interpreter, and no shell)

    def _process(
        self, settings: EngineSettings, options: dict[str, Any], around_storage: AroundStorage | None
    ) -> ConsumerProcess:
        if not is_patched():
            logger.warning(
                "blocking calls are not cooperative: call patch_for_command() first in manage.py, see the docs"
            )
        names = self.consumers or options["names"]

        def source(consumer: BatchConsumer[Any, Any], group: str) -> RecordSource:
            topics = settings.real_topics(consumer.topics)
            return KafkaSource(topics, consumer_properties(settings, group), settings.revoke_timeout)

        run_options = RunOptions(
            group=options["group"],
            until_end=options["until_end"],
            max_records=options["max_records"],
            chunk_size=options["chunk_size"],
            concurrency=options["concurrency"],
            around_storage=around_storage,
        )
        return ConsumerProcess([registry.get(name) for name in names], settings, run_options, source)

    def _run(self, process: ConsumerProcess, lifeline: Lifeline | None, *beside: Callable[[], None]) -> None:
        tell = lifeline.hold if lifeline else LiveView(process).show
        try:
            with flood_told(process.settings.database), reporting(process) as tasks:
                process.run(tell, *beside, *tasks)
        except BaseExceptionGroup as group:
            raise _stopped(_first(group)) from group
        except Exception as error:
            raise _stopped(error) from error


def _lifeline(process: ConsumerProcess) -> Lifeline:
    return Lifeline(lambda: summary(process), process.drain)


def _with_options(settings: EngineSettings, options: dict[str, Any]) -> EngineSettings:
    """What the command line says goes before the settings."""
    given = {name: options[name] for name in ("metrics_port", "metrics_host") if options[name]}
    return replace(settings, **given)


def _of_member(settings: EngineSettings, member: int) -> EngineSettings:
    """A static member's name and a port are for one process alone: those of a supervisor get ones made from them."""
    if member and settings.metrics_port:
        settings = replace(settings, metrics_port=settings.metrics_port + member, metrics_host="127.0.0.1")
    name = settings.properties.get("group.instance.id")
    if not member or not name:
        return settings
    return replace(settings, properties={**settings.properties, "group.instance.id": f"{name}-{member}"})


def _stopped(error: BaseException) -> CommandError:
    if isinstance(error, Misconfigured):
        return CommandError(str(error), returncode=2)
    if getattr(error.__cause__, "sqlstate", "") in _MISSING:
        text = (
            f"the database refuses: {describe(error)}. manage.py doctor tells which table or right is missing, and how"
        )
        return CommandError(f"{text} to mend it", returncode=2)
    if not isinstance(error, ConsumerError):
        logger.error("stopped by an error of the program", exc_info=error)
    return CommandError(f"{type(error).__name__}: {error}", returncode=1)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to report of several: a fatal one if there is one."""
    fatal = group.subgroup(FatalError) or group
    error: BaseException = fatal
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def summary(process: ConsumerProcess) -> dict[str, Any]:
    """The totals of a run and, with several consumers, each one's own."""
    each = [runner.statistics.summary() for runner in process.runners]
    if len(each) == 1:
        return each[0]
    return {**add_up(each), "seconds": longest(each), "consumers": each}
