"""Threads outside the greenlets, for calls of C libraries that would otherwise stop every greenlet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import gevent
from gevent import monkey
from gevent.threadpool import ThreadPool

from consumers.concurrency.clock import Event

T = TypeVar("T")
R = TypeVar("R")


class NativeThread:
    """One thread of the operating system, outside the greenlets, in which calls run one after the other.

    What is called there must have been imported before. The locks of imports belong to greenlets: of two such threads
    that import one module at the same time, one may wait for ever (as in gevent's issue 349).
    """

    def __init__(self) -> None:
        self._pool = ThreadPool(1)

    def call(self, function: Callable[..., R], *args: Any) -> R:
        """Run a blocking call there; only the calling greenlet waits. Its error is raised here."""
        result: R | None
        result, error = self._pool.apply(_caught, (function, args))
        if error is not None:
            raise error
        return cast(R, result)

    def close(self) -> None:
        """Wait for the current call and end the thread."""
        self._pool.join()
        self._pool.kill()


def _caught(function: Callable[..., R], args: tuple[Any, ...]) -> tuple[R | None, BaseException | None]:
    """The call's result or its error. The pool would print the traceback of an error that it sees."""
    try:
        return function(*args), None
    except BaseException as error:  # noqa: BLE001  (raised again by whoever called)
        return None, error


class Bridge(Generic[T, R]):
    """Lets code in a `NativeThread` ask the greenlets something and wait for the answer."""

    def __init__(self, answer: Callable[[T], R]) -> None:
        """`answer` runs in a greenlet of its own, one question at a time."""
        self._answer = answer
        self._questions: deque[tuple[T, list[R], Any]] = deque()
        self._arrived = Event()
        # The loop's own watcher is all that another thread may touch.
        self._watcher = gevent.get_hub().loop.async_()
        self._watcher.start(self._arrived.set)

    def ask(self, question: T, timeout: float) -> R | None:
        """Called in the native thread: the answer, or None after `timeout` seconds."""
        answered = monkey.get_original("_thread", "allocate_lock")()
        answered.acquire()
        answers: list[R] = []
        self._questions.append((question, answers, answered))
        self._watcher.send()
        answered.acquire(timeout=timeout)
        return answers[0] if answers else None

    def serve(self) -> None:
        """Answer questions until killed; run it in a scope."""
        while True:
            self._arrived.wait()
            self._arrived.clear()
            while self._questions:
                question, answers, answered = self._questions.popleft()
                try:
                    answers.append(self._answer(question))
                finally:
                    answered.release()

    def close(self) -> None:
        self._watcher.stop()
        self._watcher.close()
