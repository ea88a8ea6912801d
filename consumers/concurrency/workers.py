"""Workers that share a task, and a bound on what each item may take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import gevent

from consumers.concurrency.clock import monotonic, sleep
from consumers.concurrency.scope import Scope


def run_workers(task: Callable[[], object], limit: int) -> None:
    """Run `task`, which works until nothing is left to do, in up to `limit` workers at once. The first error ends the
    others and is raised.

    The workers of a task drain one iterator and append to lists, both safe without a lock: a greenlet gives way only
    where it waits. Each worker starts the next one when it begins, unless one has ended before: where a task never
    waits, two greenlets are all that it takes.
    """
    with Scope() as scope:
        if limit:
            scope.spawn(_Workers(scope, task).work, limit)


class _Workers:
    """The workers of one task. No closure that names itself: such a cycle would keep all that the task holds alive
    until the garbage collector comes."""

    def __init__(self, scope: Scope, task: Callable[[], object]) -> None:
        self._scope = scope
        self._task = task
        self._ended = False

    def work(self, left: int) -> None:
        if self._ended:
            return
        if left > 1:
            self._scope.spawn(self.work, left - 1)
        gevent.getcurrent().is_consumer_worker = True
        self._task()
        self._ended = True


def in_worker() -> bool:
    """Whether the caller runs in a worker of `for_each`."""
    return getattr(gevent.getcurrent(), "is_consumer_worker", False)


class TooSlow(BaseException):
    """Thrown into a call that has had its time. Not an `Exception`: the call's own handlers should not swallow it."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"did not return within {seconds:g} s")


class Deadline:
    """Bounds how long the items of workers may take, with one timer for all; only what waits can be interrupted."""

    def __init__(self, seconds: float) -> None:
        """`seconds` 0 sets no bound."""
        self._seconds = seconds
        self._running: dict[gevent.Greenlet, object] = {}

    @contextmanager
    def turns(self) -> Iterator[Callable[[object], None]]:
        """For a worker: gives the function to call with each item as its turn begins, which ends that of the last."""
        me = gevent.getcurrent()
        try:
            yield partial(self._running.__setitem__, me)
        finally:
            self._running.pop(me, None)

    def begin(self, item: object) -> None:
        """The same for the calling worker, where speed is no matter; None lets it rest."""
        self._running[gevent.getcurrent()] = item

    def watch(self) -> None:
        """Throw TooSlow into workers whose item has had its time, until killed; run it in a scope."""
        since: dict[gevent.Greenlet, tuple[object, float]] = {}
        while self._seconds:
            sleep(self._seconds / 4)
            for worker, item in list(self._running.items()):
                seen, at = since.get(worker, (None, 0.0))
                if seen is not item or item is None:
                    since[worker] = (item, monotonic())
                elif at < monotonic() - self._seconds * 3 / 4:
                    gevent.get_hub().loop.run_callback(self._interrupt, worker, item)

    def _interrupt(self, worker: gevent.Greenlet, item: object) -> None:
        if self._running.get(worker) is item:
            worker.throw(TooSlow(self._seconds))
