"""Finding the bad records of a failed write: where the database points at one, or else by halving."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.db import transaction

from consumers.core.errors import Again, FatalError, pointed_at, release
from consumers.pipeline.units import Unit, Units
from consumers.postgres.errors import Trouble, classify

HINTS = 8
"""So many pointers are followed, then comes halving: each costs an attempt on all the rest, while halving costs
O(log n) attempts for each bad record, and less where they are many."""


def isolate(
    units: Units,
    attempt: Callable[[Units], None],
    alone: Callable[[Unit], None],
    *,
    using: str,
    ordered: Callable[[Units], Units] = Units.of,
    hints: int = HINTS,
) -> None:
    """Run `attempt` on all units inside a savepoint; when it fails, without the one at which its error points, or on
    each half; and at last `alone` on one unit. `ordered` gives the units in the order in which parts of them are tried.

    `alone` must not raise for a bad unit; it makes a failure of it. What an attempt notes it must note last, since a
    failed one is repeated, as is one that raises `Again`.

    Raises:
        Exception: an outage of the database, a missing table or right, or a FatalError: not the fault of any record.
    """
    if not units:
        return
    part = partial(isolate, attempt=attempt, alone=alone, using=using)
    try:
        _in_savepoint(partial(attempt, units), using)
        return
    except Exception as error:
        if not blames_records(error):
            raise
        suspect = pointed_at(error)
        release(error)
    if len(units) == 1:
        alone(units[0])
    elif suspect is not None and hints:
        alone(units[suspect])
        part(units.without(suspect), ordered=ordered, hints=hints - 1)
    else:
        units, middle = ordered(units), len(units) // 2
        part(units[:middle], hints=hints)
        part(units[middle:], hints=hints)


def _in_savepoint(work: Callable[[], None], using: str) -> None:
    while True:
        try:
            with transaction.atomic(using=using):
                return work()
        except Again:
            continue


def blames_records(error: BaseException) -> bool:
    """Whether an error while writing can be the fault of a record."""
    return not isinstance(error, FatalError) and classify(error) not in (Trouble.OUTAGE, Trouble.SCHEMA)
