"""What a command says of a fault that its own code did not expect, where Django would print a traceback."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError

from consumers.postgres.errors import FORBIDDEN, LACKS, describe
from consumers.postgres.probe import probe

WRONG, FAULT = 2, 1


def told(error: DatabaseError) -> tuple[str, int] | None:
    """(what to say, exit code) of an error of the database; None if it is one of the program."""
    state = getattr(error.__cause__, "sqlstate", None) or ""
    if state in LACKS:
        return f"The database lacks something: {describe(error)}. Run manage.py migrate.", WRONG
    if state == FORBIDDEN:
        return f"The database refuses: {describe(error)}. manage.py doctor tells the right to grant.", WRONG
    if isinstance(error, OperationalError):
        return (
            f"The database does not answer: {_why(error)}. Check DATABASE_URL, and that PostgreSQL runs there.",
            FAULT,
        )
    return None


def _why(error: OperationalError) -> str:
    """The pool says only that it has waited; a connection of our own is refused with the reason."""
    try:
        probe(DEFAULT_DB_ALIAS)
    except Exception as reason:  # noqa: BLE001  (whatever it is, it is the reason)
        return describe(reason)
    return describe(error)
