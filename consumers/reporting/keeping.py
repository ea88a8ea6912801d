"""For how long reports are kept."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Model
from django.db.models.functions import Now

from consumers.models import Worker, WorkerEvent, WorkerSample

SAMPLES = timedelta(hours=2)
WORKERS = timedelta(days=2)
"""Since a worker was last heard of; its events go with it."""
EVENTS = timedelta(days=2)
AT_ONCE = 5_000
"""Rows in one statement: who is pruned by others is not to be waited for."""


def prune(using: str) -> int:
    """Forget what is too old; returns how many rows that was, at most `AT_ONCE` of each kind."""
    return (
        _delete(WorkerSample, using, at__lt=Now() - SAMPLES)
        + _delete(WorkerEvent, using, at__lt=Now() - EVENTS)
        + _delete(Worker, using, seen_at__lt=Now() - WORKERS)
    )


def _delete(model: type[Model], using: str, **too_old: object) -> int:
    rows = model._default_manager.using(using)
    chosen = rows.filter(**too_old).order_by().values("pk")[:AT_ONCE]
    deleted, _ = rows.filter(pk__in=chosen).delete()
    return deleted
