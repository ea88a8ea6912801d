"""manage.py consume NAME...: run consumers until they are told to stop."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser, SystemCheckError

from consumers import registry
from consumers.concurrency import is_patched
from consumers.consumer import BatchConsumer
from consumers.core.errors import ConsumerError, FatalError, Misconfigured
from consumers.core.source import RecordSource
from consumers.core.summaries import add_up, longest
from consumers.engine.process import ConsumerProcess
from consumers.engine.runner import RunOptions
from consumers.engine.supervisor import command_line
from consumers.kafka.config import consumer_properties
from consumers.kafka.source import KafkaSource
from consumers.management.arguments import positive
from consumers.management.member import Lifeline, command_of_member
from consumers.management.progress import ProgressLine
from consumers.settings import EngineSettings, engine_settings

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
        parser.add_argument(
            "--processes",
            type=positive,
            default=0,
            metavar="N",
            help="run N processes, each a member of the group with a pool of connections of its own; one that dies is "
            "started again",
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
        try:
            if options["processes"]:
                self._supervise(options)
            process = self._process(options)
            lifeline = _lifeline(process) if options["member"] else None
        except ConsumerError as error:
            raise CommandError(str(error), returncode=2) from error
        try:
            self._run(process, lifeline)
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
        supervisor = command_line(options["processes"], options["json"], command_of_member(sys.orig_argv))
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(supervisor[0], supervisor)  # noqa: S606  (our own interpreter, and no shell)

    def _process(self, options: dict[str, Any]) -> ConsumerProcess:
        if not is_patched():
            logger.warning(
                "blocking calls are not cooperative: call patch_for_command() first in manage.py, see the docs"
            )
        names = self.consumers or options["names"]
        settings = _of_member(engine_settings(), options["member"])

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

    def _run(self, process: ConsumerProcess, lifeline: Lifeline | None) -> None:
        beside = lifeline.hold if lifeline else ProgressLine(process.runners, self.stderr).show
        try:
            process.run(beside)
        except BaseExceptionGroup as group:
            raise _stopped(_first(group)) from group
        except Exception as error:
            raise _stopped(error) from error


def _lifeline(process: ConsumerProcess) -> Lifeline:
    def drain() -> None:
        for runner in process.runners:
            runner.stop()

    return Lifeline(lambda: summary(process), drain)


def _of_member(settings: EngineSettings, member: int) -> EngineSettings:
    """A static member's name is for one process alone; those of a supervisor each get one made from it."""
    name = settings.properties.get("group.instance.id")
    if not member or not name:
        return settings
    return replace(settings, properties={**settings.properties, "group.instance.id": f"{name}-{member}"})


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
    return {**add_up(each), "seconds": longest(each), "consumers": each}
