"""What is done to the table, step by step: each can be shown, and each run leaves all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from django.db import DatabaseError, connections, transaction

TIMED_OUT_OR_DEADLOCKED = ("55P03", "40P01")


class CannotPartition(Exception):
    """The table is not, or cannot be made, as it was asked for; the message says why and how to mend it."""


class LockedOut(CannotPartition):
    """Others held the table longer than was to be waited; nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """`locks` are taken first, waiting no longer than the runner's time-out; all of it is one transaction, unless
    `is_alone`: then each statement is one of its own, and waits as long as it must."""

    title: str
    locks: Sequence[str] = ()
    statements: Sequence[str]
    is_alone: bool = False
    still_holds: Callable[[], bool] | None = None
    """Asked once the locks are held: whether the table is still the one that this was planned for."""

    def as_sql(self, lock_timeout: float) -> str:
        lines = [f"{each};" for each in (*self.locks, *self.statements)]
        if not self.is_alone:
            lines = ["BEGIN;", f"{_wait(lock_timeout)};", *lines, "COMMIT;"]
        return "\n".join([f"-- {self.title}", *lines])


@dataclass(frozen=True)
class Done:
    """`locked`: seconds from holding the locks to the end of COMMIT; `rows`: how many were moved."""

    locked: float
    rows: int


def run(step: Step, using: str, lock_timeout: float) -> Done:
    """Run a step on the database `using`; `lock_timeout` is in seconds.

    Raises:
        LockedOut: the locks were not to be had.
        CannotPartition: the table was changed by somebody else meanwhile.
        django.db.DatabaseError: anything else that the database refused.
    """
    try:
        return _alone(step, using) if step.is_alone else _together(step, using, lock_timeout)
    except DatabaseError as error:
        if sqlstate(error) in TIMED_OUT_OR_DEADLOCKED:
            raise LockedOut(f"others held the tables for longer than {lock_timeout:g} s") from error
        raise


def sqlstate(error: BaseException) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)


def _alone(step: Step, using: str) -> Done:
    with connections[using].cursor() as cursor:
        for statement in step.statements:
            cursor.execute(statement)
    return Done(0.0, 0)


def _together(step: Step, using: str, lock_timeout: float) -> Done:
    rows = 0
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(_wait(lock_timeout))
        for lock in step.locks:
            cursor.execute(lock)
        since = monotonic()
        if step.still_holds is not None and not step.still_holds():
            raise CannotPartition("the table was changed meanwhile: run it again")
        for statement in step.statements:
            cursor.execute(statement)
            rows += max(0, cursor.rowcount)
    return Done(monotonic() - since, rows)


def _wait(lock_timeout: float) -> str:
    return f"SET LOCAL lock_timeout = {max(1, round(lock_timeout * 1000))}"
