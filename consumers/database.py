"""Connections of greenlets: whoever opened one gives it back, and workers of `process` never open one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

from consumers.concurrency import in_worker
from consumers.core.errors import FatalError


@contextmanager
def connection_scope() -> Iterator[None]:
    """A unit of work that may query: returns its connections to the pool at the end."""
    try:
        yield
    finally:
        release_connections()


def release_connections() -> None:
    """Close this greenlet's connections (with a pool: give them back), but for one inside a transaction of a caller."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def forbid_queries_in_workers() -> None:
    """From now on a query from within `process` is a fatal error: hundreds of workers would exhaust the pool."""
    connection_created.connect(_guard_new, dispatch_uid="consumers.forbid_queries_in_workers")
    for connection in connections.all(initialized_only=True):
        _guard(connection)


def _guard_new(sender: object, connection: Any, **kwargs: object) -> None:
    _guard(connection)


def _guard(connection: Any) -> None:
    if _refuse_in_workers not in connection.execute_wrappers:
        connection.execute_wrappers.append(_refuse_in_workers)


def _refuse_in_workers(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    if in_worker():
        raise FatalError(f"process() queried the database; fetch it in prefetch() instead. The query: {sql[:200]}")
    return execute(sql, params, many, context)
