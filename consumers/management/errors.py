"""What stops a command, as its exit code and the line that the user is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError

from consumers.core.errors import ConsumerError, Misconfigured
from consumers.postgres.errors import FORBIDDEN, LACKS, describe
from consumers.reporting import decisive

logger = logging.getLogger("consumers")

FAULT, WRONG = 1, 2


@contextmanager
def errors_told() -> Iterator[None]:
    """An error of ours in the block ends the command: with code 2 if usage or configuration is wrong, else with 1.

    Raises:
        CommandError: in the error's place.
    """
    try:
        yield
    except Misconfigured as error:
        raise CommandError(str(error), returncode=WRONG) from error
    except ConsumerError as error:
        raise CommandError(str(error), returncode=FAULT) from error


@contextmanager
def stops_told() -> Iterator[None]:
    """Any error in the block, which runs consumers, ends the command with a line that names it.

    Raises:
        CommandError: in the error's place.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        raise _stopped(decisive(group)) from group
    except Exception as error:
        raise _stopped(error) from error


def _stopped(error: BaseException) -> CommandError:
    if isinstance(error, Misconfigured):
        return CommandError(str(error), returncode=WRONG)
    if getattr(error.__cause__, "sqlstate", "") in {*LACKS, FORBIDDEN}:
        mend = "manage.py doctor tells which table or right is missing, and how to mend it"
        return CommandError(f"the database refuses: {describe(error)}. {mend}", returncode=WRONG)
    if not isinstance(error, ConsumerError):
        logger.error("stopped by an error of the program", exc_info=error)
    return CommandError(f"{type(error).__name__}: {error}", returncode=FAULT)
