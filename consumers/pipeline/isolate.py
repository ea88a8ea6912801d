"""Finding the bad records of a failed write by halving: O(log n) extra attempts for each, not n."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db import transaction

from consumers.core.errors import FatalError, release
from consumers.postgres.errors import Trouble, classify

T = TypeVar("T")


def isolate(
    items: Sequence[T], attempt: Callable[[Sequence[T]], None], alone: Callable[[T], None], *, using: str
) -> None:
    """Run `attempt` on all items inside a savepoint; when it fails, on each half, and at last `alone` on one item.

    `alone` must not raise for a bad item; it makes a failure of it. What an attempt notes it must note last, since a
    failed one is repeated.

    Raises:
        Exception: an outage of the database, a missing table or right, or a FatalError: not the fault of any record.
    """
    if not items:
        return
    try:
        with transaction.atomic(using=using):
            attempt(items)
        return
    except Exception as error:
        if not blames_records(error):
            raise
        release(error)
    if len(items) == 1:
        alone(items[0])
        return
    middle = len(items) // 2
    isolate(items[:middle], attempt, alone, using=using)
    isolate(items[middle:], attempt, alone, using=using)


def blames_records(error: BaseException) -> bool:
    """Whether an error while writing can be the fault of a record."""
    return not isinstance(error, FatalError) and classify(error) not in (Trouble.OUTAGE, Trouble.SCHEMA)
