"""manage.py consume NAME...: run consumers until they are told to stop."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser, SystemCheckError

from consumers import registry
from consumers.alerts.stopping import flood_told
from consumers.core.errors import ConsumerError
from consumers.core.summaries import add_up, longest
from consumers.engine.process import ConsumerProcess
from consumers.management.arguments import port, positive
from consumers.management.assembling import of_member, process_of, with_options
from consumers.management.errors import WRONG, stops_told
from consumers.management.examples import ExampleCommand
from consumers.management.liveview import LiveView
from consumers.management.member import Lifeline
from consumers.management.supervising import become_supervisor, require_processes
from consumers.reporting import reporting
from consumers.settings import engine_settings
from consumers.telemetry.traces import tracing
from consumers.telemetry.web import serving

ABORTED = 130


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
            error.returncode = WRONG
            raise

    def handle(self, *args: Any, **options: Any) -> None:
        with ExitStack() as stack:
            process, beside = self._set_up(options, stack)
            with stops_told(), flood_told(process.settings.database), reporting(process) as tasks:
                process.run(*beside, *tasks)
        if process.aborted:
            sys.exit(ABORTED)

    def _set_up(self, options: dict[str, Any], stack: ExitStack) -> tuple[ConsumerProcess, list[Callable[[], None]]]:
        """The process, and what is to run beside its consumers; the stack ends what is begun here."""
        names = self.consumers or options["names"]
        try:
            if options["processes"]:
                self._supervise(names, options)
            settings = of_member(with_options(engine_settings(), options), options["member"])
            process = process_of(names, settings, options, stack.enter_context(tracing(settings.tracing)))
            beside = [serving(process).serve] if settings.metrics_port else []
            return process, [stack.enter_context(self._telling(process, options)), *beside]
        except ConsumerError as error:
            raise CommandError(str(error), returncode=WRONG) from error

    def _supervise(self, names: Sequence[str], options: dict[str, Any]) -> None:
        """Does not return.

        Raises:
            Misconfigured: this cannot be done with several processes.
        """
        for name in names:
            registry.get(name)
        require_processes(options["max_records"], is_own_process=getattr(self, "_called_from_command_line", False))
        become_supervisor(options["processes"], with_options(engine_settings(), options), as_json=options["json"])

    @contextmanager
    def _telling(self, process: ConsumerProcess, options: dict[str, Any]) -> Iterator[Callable[[], None]]:
        """What tells of the run while it lasts, to the supervisor or at the terminal; its summary follows."""
        if options["member"]:
            lifeline = Lifeline(lambda: summary(process), lambda: lag(process), process.drain)
            try:
                yield lifeline.hold
            finally:
                lifeline.end()
            return
        try:
            yield LiveView(process).show
        finally:
            if options["json"]:
                self.stdout.write(json.dumps(summary(process)))


def summary(process: ConsumerProcess) -> dict[str, Any]:
    """The totals of a run and, with several consumers, each one's own."""
    each = [runner.statistics.summary() for runner in process.runners]
    if len(each) == 1:
        return each[0]
    return {**add_up(each), "seconds": longest(each), "consumers": each}


def lag(process: ConsumerProcess) -> int | None:
    """Records that are not settled, of all partitions of which that is known; None if it is of none."""
    lags = [partition.lag for runner in process.runners for partition in runner.partitions]
    known = [each for each in lags if each is not None]
    return sum(known) if known else None
