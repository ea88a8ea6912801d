"""Time, as the engine measures it and waits for it: from one clock, so that a test can have another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
import gevent.event
from gevent import monkey


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
