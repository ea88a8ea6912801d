"""What a worker does for runs: one slice of one run at a time, each in one transaction.

The transaction holds the lock of the run's progress (SKIP LOCKED: any number of workers may look at once), attempts the
next records, and moves the progress. If the worker dies, the server rolls all of it back and frees the lock, and
another worker begins the same slice: the run survives restarts, and no record is attempted twice.
"""

from __future__ import annotations

import logging
import os
import socket

from django.db import transaction
from django.utils import timezone

from consumers.concurrency import end_thread
from consumers.core.errors import TransientError
from consumers.database import connection_scope, forbid_queries_in_workers
from consumers.inbox.runs.orders import ITSELF, pause
from consumers.inbox.runs.slice import Slice
from consumers.models import RetryProgress, RetryRun
from consumers.postgres.errors import describe, is_outage
from consumers.settings import EngineSettings, engine_settings

logger = logging.getLogger(__name__)


def work_one_slice(settings: EngineSettings | None = None) -> bool:
    """Work on the run that has waited longest; returns whether there was one that was due.

    Blocks for as long as the consumer takes over at most 500 records: give it a greenlet, or a process, of its own. It
    takes one connection. A run that cannot go on, since its consumer is gone or raises what no record is to blame
    for, is paused with the reason.

    Raises:
        TransientError: the database had an outage; nothing was changed.
    """
    settings = settings or engine_settings()
    forbid_queries_in_workers()
    try:
        with connection_scope():
            return _work(settings)
    except Exception as error:
        if isinstance(error, TransientError) or not is_outage(error):
            raise
        raise TransientError(f"database outage while working on a retry run: {describe(error)}") from error
    finally:
        end_thread()


def _work(settings: EngineSettings) -> bool:
    run: RetryRun | None = None
    try:
        with transaction.atomic(using=settings.database):
            progress = _take(settings.database)
            if progress is None:
                return False
            run = progress.run
            Slice(run, progress, settings, worker_name()).work()
            return True
    except Exception as error:
        if run is None or is_outage(error) or isinstance(error, TransientError):
            raise
        logger.warning("%s is paused: %r", run, error, exc_info=True)
        pause(run, by=ITSELF, reason=f"it could not go on: {type(error).__name__}: {error}")
        return True


def _take(using: str) -> RetryProgress | None:
    """The progress of an active run that is due and that nobody works on, locked."""
    waiting = RetryProgress.objects.using(using).filter(run__state__in=RetryRun.ACTIVE, due_at__lte=timezone.now())
    fairly = waiting.order_by("due_at", "run_id")
    progress = fairly.select_for_update(skip_locked=True, of=("self",)).first()
    # What was read with the lock tells of the moment before it: an order may have come in between. `run` is read now.
    return progress if progress is not None and progress.run.is_active else None


def worker_name() -> str:
    """Who works: host and process."""
    return f"{socket.gethostname()}, process {os.getpid()}"
