"""Errors of the driver, sorted by what must be done about them. SQLSTATE classes: PostgreSQL's manual, appendix A."""

from __future__ import annotations

import re
from enum import Enum

import psycopg
from django.db import Error as DjangoDatabaseError
from django.db import InterfaceError, OperationalError


class Trouble(Enum):
    """What an error means for the chunk in which it came."""

    OUTAGE = "outage"
    """The database is not well: hold the chunk and try again. Never a failed record."""
    CONSTRAINT = "constraint"
    """A row breaks a rule of the table: isolate it."""
    DATA = "data"
    """A value does not fit its column: isolate it."""
    SCHEMA = "schema"
    """The table or a right is missing: nothing can be written until somebody mends it."""
    OTHER = "other"
    """Not an error of the database."""


LACKS = frozenset({"42P01", "42703", "3F000"})
"""A table, a column or a schema that is missing."""
FORBIDDEN = "42501"
"""A right that is missing."""
_UNIQUENESS = frozenset({"23505", "23P01"})
"""Unique and exclusion violations: what ON CONFLICT DO NOTHING passes over."""

# Connection, transaction rollback (deadlock, serialization), resources, locks, operator intervention and time-outs,
# system and internal errors; a read-only transaction is a fail-over that has not ended, and an idle or
# long transaction that the server ended is a process that was frozen.
_OUTAGE_CLASSES = frozenset({"08", "40", "53", "55", "57", "58", "XX"})
_COPY_LINE = re.compile(r"COPY [^,]+, [^\d:,]*(\d+)")
_OUTAGE_STATES = frozenset({"25006", "25P03", "25P04"})


def classify(error: BaseException) -> Trouble:
    """Sort an error; looks through the causes, since Django wraps the driver's errors."""
    cause = _driver_error(error)
    if cause is None:
        return Trouble.OUTAGE if isinstance(error, OperationalError | InterfaceError) else Trouble.OTHER
    state = cause.sqlstate
    if state is None:
        return _without_state(cause)
    if state[:2] in _OUTAGE_CLASSES or state in _OUTAGE_STATES:
        return Trouble.OUTAGE
    if state[:2] == "23":
        return Trouble.CONSTRAINT
    if state[:2] == "22":
        return Trouble.DATA
    return Trouble.SCHEMA


def describe(error: BaseException) -> str:
    """The error in one line, without the values of the row, which may be private."""
    cause = _driver_error(error)
    if cause is None or cause.diag.message_primary is None:
        return str(error).split("\n", 1)[0]
    constraint = cause.diag.constraint_name
    primary = cause.diag.message_primary
    return primary if constraint is None or constraint in primary else f"{primary} ({constraint})"


def breaks_uniqueness(error: BaseException) -> bool:
    """Whether a unique or exclusion constraint refused a row, for the sake of another one."""
    cause = _driver_error(error)
    return cause is not None and cause.sqlstate in _UNIQUENESS


def refused_line(error: BaseException) -> int | None:
    """The line, from 1, at which the server refused a COPY; None where it names none. (Its words depend on the server's
    language.)"""
    cause = _driver_error(error)
    found = _COPY_LINE.match(cause.diag.context or "") if cause is not None else None
    return int(found[1]) if found else None


def _without_state(cause: psycopg.Error) -> Trouble:
    """The driver's own errors: a value it cannot send, or a connection it has lost or could not get."""
    if isinstance(cause, psycopg.DataError):
        return Trouble.DATA
    if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return Trouble.OUTAGE
    return Trouble.SCHEMA


def _driver_error(error: BaseException) -> psycopg.Error | None:
    current: BaseException | None = error
    for _ in range(10):
        if current is None or isinstance(current, psycopg.Error):
            return current
        current = current.__cause__
    return None


def is_outage(error: BaseException) -> bool:
    return isinstance(error, DjangoDatabaseError | psycopg.Error) and classify(error) is Trouble.OUTAGE
