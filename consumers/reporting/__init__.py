"""What a consuming process tells of itself, and what it is told: reports, and the orders of operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from consumers.core.errors import Misconfigured
from consumers.engine.process import ConsumerProcess
from consumers.reporting.housekeeping import Housekeeper, periodic_tasks
from consumers.reporting.reporter import Reporter

SHORTEST = 0.5
"""Seconds between two reports."""


@contextmanager
def reporting(process: ConsumerProcess) -> Iterator[list[Callable[[], None]]]:
    """Gives what is to run beside the consumers of a process; the last report follows when the block ends.

    Nothing of it where the settings' `reporting_interval` is 0.

    Raises:
        Misconfigured: it is too short.
    """
    interval = process.settings.reporting_interval
    if not interval:
        yield []
        return
    if not interval >= SHORTEST:
        raise Misconfigured(
            f"settings.CONSUMERS: reporting_interval must be 0, for never, or at least {SHORTEST:g} s, not {interval:g}"
        )
    reporter = Reporter(process)
    try:
        yield [reporter.run, Housekeeper(process, periodic_tasks(process.settings)).run]
    except BaseException as error:
        reporter.end("aborted" if process.aborted else why(error))
        raise
    reporter.end("aborted" if process.aborted else "")


def why(error: BaseException) -> str:
    """What stopped a process, in one line: of several errors the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}".split("\n", 1)[0]
