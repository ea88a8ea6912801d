"""What a consuming process tells of itself, and what it is told: reports, and the orders of operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from consumers.core.errors import FatalError, Misconfigured
from consumers.engine.process import ConsumerProcess
from consumers.reporting.housekeeping import housekeepers
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
        yield [reporter.run, *(housekeeper.run for housekeeper in housekeepers(process))]
    except BaseException as error:
        reporter.end("aborted" if process.aborted else why(error))
        raise
    reporter.end("aborted" if process.aborted else "")


def why(error: BaseException) -> str:
    """What stopped a process, in one line."""
    error = decisive(error)
    return f"{type(error).__name__}: {error}".split("\n", 1)[0]


def decisive(error: BaseException) -> BaseException:
    """Of several errors the one to report: the first fatal one, if there is any, else the first."""
    if isinstance(error, BaseExceptionGroup):
        error = error.subgroup(FatalError) or error
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
