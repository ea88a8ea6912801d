"""manage.py consume NAME...: run consumers until they are told to stop."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser, SystemCheckError

from consumers import registry
from consumers.concurrency import is_patched
from consumers.consumer import BatchConsumer
from consumers.core.errors import ConsumerError, FatalError, Misconfigured
from consumers.core.source import RecordSource
from consumers.engine.process import ConsumerProcess
from consumers.engine.runner import RunOptions
from consumers.kafka.config import consumer_properties
from consumers.kafka.source import KafkaSource
from consumers.management.arguments import positive
from consumers.management.progress import ProgressLine
from consumers.settings import engine_settings

logger = logging.getLogger("consumers")

ABORTED = 130


class Command(BaseCommand):
    help = "Consume topics into the database. Ctrl-C or SIGTERM drains and stops; a second one aborts."

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

    def check(self, *args: Any, **kwargs: Any) -> None:
        """As Django's; what the system checks find is a wrong configuration, and the exit code says so."""
        try:
            super().check(*args, **kwargs)
        except SystemCheckError as error:
            error.returncode = 2
            raise

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            process = self._process(options)
        except ConsumerError as error:
            raise CommandError(str(error), returncode=2) from error
        try:
            self._run(process)
        finally:
            if options["json"]:
                self.stdout.write(json.dumps(summary(process)))
        if process.aborted:
            sys.exit(ABORTED)

    def _process(self, options: dict[str, Any]) -> ConsumerProcess:
        if not is_patched():
            logger.warning(
                "blocking calls are not cooperative: call patch_for_command() first in manage.py, see the docs"
            )
        names = self.consumers or options["names"]
        settings = engine_settings()

        def source(consumer: BatchConsumer[Any, Any], group: str) -> RecordSource:
            topics = settings.real_topics(consumer.topics)
            return KafkaSource(topics, consumer_properties(settings, group), settings.revoke_timeout)

        run_options = RunOptions(
            group=options["group"],
            until_end=options["until_end"],
            max_records=options["max_records"],
            chunk_size=options["chunk_size"],
            concurrency=options["concurrency"],
        )
        return ConsumerProcess([registry.get(name) for name in names], settings, run_options, source)

    def _run(self, process: ConsumerProcess) -> None:
        try:
            process.run(ProgressLine(process.runners, self.stderr).show)
        except BaseExceptionGroup as group:
            raise _stopped(_first(group)) from group
        except Exception as error:
            raise _stopped(error) from error


def _stopped(error: BaseException) -> CommandError:
    if isinstance(error, Misconfigured):
        return CommandError(str(error), returncode=2)
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
    counts = ("received", "written", "duplicates", "skipped", "failed")
    total: dict[str, Any] = {name: sum(int(str(one[name])) for one in each) for name in counts}
    return {**total, "seconds": max((float(str(one["seconds"])) for one in each), default=0.0), "consumers": each}
