"""Structured concurrency: what a block starts ends with it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from types import TracebackType
from typing import Any

import gevent


class Stopped(BaseException):
    """Thrown into a scope's body when a child has failed. Not an `Exception`: no handler may swallow it."""

    def __init__(self, scope: Scope) -> None:
        super().__init__("a task of the scope failed")
        self.scope = scope


class Scope:
    """A block that ends only when all that it started has ended.

    The first error, of a child or of the block itself, ends the siblings and the block; the errors come out of the
    block, several as an ExceptionGroup. What is spawned after that never starts.
    """

    def __init__(self) -> None:
        self._children: dict[gevent.Greenlet, None] = {}  # in the order of their start, which is that of their end
        self._errors: list[BaseException] = []
        self._in_body = False
        self._is_cancelled = False

    def spawn(self, task: Callable[..., object], *args: Any) -> gevent.Greenlet:
        """Start a task; it may itself spawn into the scope."""
        child = gevent.Greenlet(self._run, task, args)
        child.is_in_scope = True
        child.gr_context = copy_context()  # what the task's starter runs in is what it runs in, a trace for one
        self._children[child] = None
        child.rawlink(self._children.pop)
        child.start()
        if self._is_cancelled:
            child.kill(block=False)
        return child

    def cancel(self) -> None:
        """End all children; they clean up and are waited for when the block ends."""
        self._is_cancelled = True
        for child in list(self._children):
            if child is not gevent.getcurrent():
                child.kill(block=False)

    def __enter__(self) -> Scope:
        self._owner = gevent.getcurrent()
        self._in_body = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        self._in_body = False
        if error is not None:
            self.cancel()
        interruption = self._join()
        if error is not None and not isinstance(error, Stopped | gevent.GreenletExit):
            self._errors.insert(0, error)
        if len(self._errors) > 1:
            raise BaseExceptionGroup("several tasks of a scope failed", self._errors)
        if self._errors and self._errors[0] is not error:
            raise self._errors[0]
        if interruption is not None and error is None:
            raise interruption
        return isinstance(error, Stopped) and error.scope is self

    def _join(self) -> BaseException | None:
        """Wait for the children. What an outer scope throws in meanwhile cancels them, and is returned at the end."""
        interruption: BaseException | None = None
        while self._children:
            try:
                gevent.joinall(list(self._children))
            except BaseException as thrown:  # noqa: BLE001  (nothing may outlive the block)
                interruption = interruption or thrown
                self.cancel()
        return interruption

    def _run(self, task: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            task(*args)
        except gevent.GreenletExit:
            pass
        except BaseException as error:  # noqa: BLE001  (every error comes out of the block)
            self._errors.append(error)
            self.cancel()
            gevent.get_hub().loop.run_callback(self._interrupt_body)

    def _interrupt_body(self) -> None:
        if self._in_body:
            self._in_body = False
            self._owner.throw(Stopped(self))


def heed_end(error: BaseException) -> None:
    """Where an error came up while the calling greenlet, which was told to end, was cleaning up: go on ending.

    Raises:
        GreenletExit: what told the greenlet to end, if the error hides it.
    """
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        each = chain.pop()
        if isinstance(each, gevent.GreenletExit):
            raise each
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            chain += [each.__context__, each.__cause__]


def in_scope() -> bool:
    """Whether the caller runs in a greenlet that a scope started: in a consumer's process, for one."""
    return getattr(gevent.getcurrent(), "is_in_scope", False)
