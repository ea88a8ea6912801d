"""Structured concurrency: the one place that knows greenlets.

A `Scope` is the only way to start a greenlet, and nothing it started outlives it. `NativeThread` runs blocking calls
of C libraries that would otherwise stop every greenlet, and `Bridge` lets such a thread ask the greenlets something.
All time that the engine measures or waits for comes from one `Clock`, so that a test can have another.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

import gevent
import gevent.event
import gevent.util
from gevent import Timeout, monkey
from gevent.queue import Queue
from gevent.threadpool import ThreadPool

__all__ = [
    "Bridge",
    "Clock",
    "Deadline",
    "Event",
    "NativeThread",
    "Permits",
    "Queue",
    "Scope",
    "Stopped",
    "Timeout",
    "TooSlow",
    "Watchdog",
    "end_thread",
    "in_worker",
    "is_patched",
    "monotonic",
    "native_sleep",
    "on_signals",
    "patch_for_command",
    "run_workers",
    "sleep",
    "stacks",
    "use_clock",
]

T = TypeVar("T")
R = TypeVar("R")


class Clock:
    """The time that greenlets measure, and the waiting for it. Times in seconds."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Give way to the other greenlets, for so long at least."""
        gevent.sleep(seconds)

    def wait(self, event: Event, seconds: float) -> bool:
        """Wait until the event is set, but no longer than this; returns whether it is."""
        return bool(gevent.event.Event.wait(event, seconds))


_clock = Clock()


@contextmanager
def use_clock(clock: Clock) -> Iterator[None]:
    """Put another clock in place of the real one, in the whole process, while the block lasts."""
    global _clock
    before, _clock = _clock, clock
    try:
        yield
    finally:
        _clock = before


def monotonic() -> float:
    """What the clock shows."""
    return _clock.monotonic()


def sleep(seconds: float = 0) -> None:
    """Let only the calling greenlet wait."""
    _clock.sleep(seconds)


class Event(gevent.event.Event):  # type: ignore[misc]
    """A flag that greenlets can wait for."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or for `timeout` seconds; returns whether it is."""
        return bool(super().wait()) if timeout is None else _clock.wait(self, timeout)


def native_sleep(seconds: float) -> None:
    """Sleep in a `NativeThread`."""
    monkey.get_original("time", "sleep")(seconds)


def patch_for_command(argv: list[str]) -> None:
    """Make blocking standard-library calls cooperative, for the commands that run consumers.

    Must run before anything else is imported. The web server and the other commands keep ordinary threads.
    """
    command = argv[1] if len(argv) > 1 else ""
    if command.startswith("consume") or command == "reprocess_failures":
        monkey.patch_all()


def is_patched() -> bool:
    """Whether blocking calls are cooperative in this process."""
    return bool(monkey.is_module_patched("socket"))


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


class Watchdog:
    """A thread outside the greenlets that ends the process when one of them has kept all others from running for too
    long: better restarted by its supervisor than silent while its partitions wait."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._beats = 0
        self._is_over = False

    def beat(self) -> None:
        """Show every second that greenlets run, until killed; run it in a scope."""
        monkey.get_original("_thread", "start_new_thread")(self._watch, ())
        try:
            while True:
                self._beats += 1
                sleep(0.5)
        finally:
            self._is_over = True

    def _watch(self) -> None:
        """Counts seconds without a beat itself: after a freeze of the whole process a clock would accuse wrongly."""
        seen, missed = -1, 0
        while not self._is_over:
            native_sleep(1)
            missed = missed + 1 if self._beats == seen else 0
            seen = self._beats
            if missed >= self._seconds:
                os.write(2, f"no greenlet has run for {missed} s: the process ends, here is what it did\n".encode())
                faulthandler.dump_traceback(all_threads=True)
                os._exit(1)


def stacks() -> str:
    """The stack traces of all greenlets and threads, for a log."""
    return "\n".join(gevent.util.format_run_info())


def end_thread() -> None:
    """Give back what this thread holds for its greenlets, such as file descriptors. For threads of a web server, which
    live on; the main thread, and greenlets that play threads, keep theirs."""
    if threading.current_thread() is not threading.main_thread() and not is_patched():
        gevent.get_hub().destroy(destroy_loop=True)


def in_worker() -> bool:
    """Whether the caller runs in a worker of `for_each`."""
    return getattr(gevent.getcurrent(), "is_consumer_worker", False)


def in_scope() -> bool:
    """Whether the caller runs in a greenlet that a scope started: in a consumer's process, for one."""
    return getattr(gevent.getcurrent(), "is_in_scope", False)


class Permits:
    """A bound on how many greenlets may do something at once, such as hold a database connection. First come, first
    served."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: deque[Event] = deque()
        self.held = 0
        """How many there are out; more than `limit` for a while after that was lowered."""

    @property
    def limit(self) -> int:
        """How many may be out. May be set at any time: raised, it lets in who waits; lowered, it takes none back."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self._admit()

    @property
    def waiting(self) -> int:
        """How many greenlets wait for one."""
        return len(self._queue)

    def __enter__(self) -> Permits:
        if self.held < self._limit:
            self.held += 1
        else:
            self._wait()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.held -= 1
        self._admit()

    def _wait(self) -> None:
        turn = Event()
        self._queue.append(turn)
        try:
            turn.wait()
        except BaseException:
            if turn.is_set():  # it was given one, and killed before it could run
                self.__exit__()
            else:
                self._queue.remove(turn)
            raise

    def _admit(self) -> None:
        """Give out what is free, here and not when the waiting greenlets run, so that nobody can come between."""
        while self._queue and self.held < self._limit:
            self.held += 1
            self._queue.popleft().set()


class NativeThread:
    """One thread of the operating system, outside the greenlets, in which calls run one after the other."""

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


class on_signals:
    """While the block lasts, signals call functions in greenlets instead of doing what they did before."""

    def __init__(self, handlers: Mapping[int, Callable[[], None]]) -> None:
        self._handlers = handlers

    def __enter__(self) -> None:
        self._before = {number: signal.getsignal(number) for number in self._handlers}
        self._watchers = [gevent.signal_handler(number, handler) for number, handler in self._handlers.items()]

    def __exit__(self, *exc_info: object) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)
