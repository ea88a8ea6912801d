"""What concerns a process or thread as a whole: patching, signals, and what is given back at the end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata

import gevent
from gevent import monkey


def patch_for_command(argv: list[str]) -> None:
    """Make blocking standard-library calls cooperative, for the commands that run consumers.

    Must run before anything else is imported. The web server and the other commands keep ordinary threads.
    """
    command = argv[1] if len(argv) > 1 else ""
    if command.startswith("consume") or command == "reprocess_failures":
        with _plugins_read_once():
            monkey.patch_all()


@contextmanager
def _plugins_read_once() -> Iterator[None]:
    """With each module that it patches gevent asks every installed package for plugins: a fifth of a second in all."""
    ask, found = metadata.entry_points, metadata.entry_points()
    metadata.entry_points = lambda **which: found.select(**which)  # type: ignore[assignment]
    try:
        yield
    finally:
        metadata.entry_points = ask


def is_patched() -> bool:
    """Whether blocking calls are cooperative in this process."""
    return bool(monkey.is_module_patched("socket"))


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


def end_thread() -> None:
    """Give back what this thread holds for its greenlets, such as file descriptors. For threads of a web server, which
    live on; the main thread, and greenlets that play threads, keep theirs."""
    if threading.current_thread() is not threading.main_thread() and not is_patched():
        gevent.get_hub().destroy(destroy_loop=True)
