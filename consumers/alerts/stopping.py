"""A flood stop is told of by the process that it stops: in its last moments, nobody else would know."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from consumers.alerts.delivery import deliver_due
from consumers.alerts.outbox import raise_alert
from consumers.concurrency import Timeout
from consumers.core.errors import Flood
from consumers.database import release_connections
from consumers.postgres.errors import describe

logger = logging.getLogger(__name__)

LAST_WORD = 20.0
"""Seconds that this may take. What is not delivered then is left to other processes."""


@contextmanager
def flood_told(using: str) -> Iterator[None]:
    """Raises an alert when the block ends with a flood stop; the error goes on in any case."""
    try:
        yield
    except BaseException as error:
        if (flood := _flood_in(error)) is not None:
            _tell(flood, using)
        raise


def _flood_in(error: BaseException) -> Flood | None:
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_flood_in, error.exceptions)), None)
    return error if isinstance(error, Flood) else None


def _tell(flood: Flood, using: str) -> None:
    what = str(flood)
    topic = what.partition(" on ")[2].partition(";")[0]
    try:
        with Timeout(LAST_WORD, False):
            title = f"Flood stop: {topic} is not consumed any more" if topic else "Flood stop"
            raise_alert("flood", key=topic, title=title, detail=what, using=using)
            deliver_due(using)
    except Exception as error:  # noqa: BLE001  (the flood is what the process ends with)
        logger.warning("could not raise an alert of the flood stop: %s", describe(error))
    finally:
        release_connections()
