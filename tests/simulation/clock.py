"""Time that passes only when a test says so, and jumps from one thing that is waited for to the next."""

from __future__ import annotations

import heapq
import itertools
from typing import Any

import gevent

from consumers.concurrency import Clock, Event


class Alarm:
    """What one greenlet waits for. It rings once: when its time has come, or before, for an event."""

    def __init__(self, clock: FakeClock, owner: object) -> None:
        self._clock = clock
        self._rung = Event()
        self.owner = owner
        self.is_over = False

    def ring(self, _event: object = None) -> None:
        if not self._clock.withholds(self):
            self.is_over = True
            self._rung.set()

    def wait(self) -> None:
        try:
            self._rung.wait()
        finally:
            self.is_over = True


class FakeClock(Clock):
    """All greenlets run at one moment until each of them waits; then the next moment is that of the first alarm.

    So what happens depends on nothing but what was asked for, in which order. The greenlets of an owner, such as the
    member of a group, can be frozen: whatever they wait for, they sleep on.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._order = itertools.count()
        self._frozen: dict[object, list[Alarm]] = {}

    # ---- Clock ------------------------------------------------------------------------------------------------------

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self._set(seconds).wait()

    def wait(self, event: Event, seconds: float) -> bool:
        if not event.is_set() and seconds > 0:
            alarm = self._set(seconds)
            event.rawlink(alarm.ring)
            try:
                alarm.wait()
            finally:
                event.unlink(alarm.ring)
        return bool(event.is_set())

    # ---- for the test, which must not itself wait -------------------------------------------------------------------

    def run(self, seconds: float = 0.0) -> None:
        """Let so much time pass, with all that is due in it."""
        end = self.now + seconds
        self._let_all_run()
        while self._alarms and self._alarms[0][0] <= end:
            due, _, alarm = heapq.heappop(self._alarms)
            if not alarm.is_over:
                self.now = max(self.now, due)
                alarm.ring()
                self._let_all_run()
        self.now = end

    def freeze(self, owner: object) -> None:
        self._frozen.setdefault(owner, [])

    def thaw(self, owner: object) -> None:
        """What the owner waited for, and was due meanwhile, is due now."""
        for alarm in self._frozen.pop(owner, ()):
            if not alarm.is_over:
                heapq.heappush(self._alarms, (self.now, next(self._order), alarm))

    def withholds(self, alarm: Alarm) -> bool:
        """Whether an alarm that would ring must wait for its owner's thaw."""
        held = self._frozen.get(alarm.owner)
        if held is not None:
            held.append(alarm)
        return held is not None

    @property
    def waiting(self) -> int:
        """How many greenlets wait for an alarm."""
        held = [alarm for alarms in self._frozen.values() for alarm in alarms]
        return sum(not alarm.is_over for alarm in [*held, *(alarm for _, _, alarm in self._alarms)])

    def _set(self, seconds: float) -> Alarm:
        alarm = Alarm(self, owner_of_caller())
        heapq.heappush(self._alarms, (self.now + max(0.0, seconds), next(self._order), alarm))
        return alarm

    @staticmethod
    def _let_all_run() -> None:
        """Until no greenlet can go on by itself: nothing is in the loop's queue but who looks."""
        loop: Any = gevent.get_hub().loop
        gevent.sleep(0)
        while loop._callbacks:
            gevent.sleep(0)


def own_greenlets(owner: object) -> None:
    """Make an owner of the calling greenlet and of all that it starts."""
    gevent.getcurrent().spawn_tree_locals["owner"] = owner


def owner_of_caller() -> object:
    shared: dict[str, object] = getattr(gevent.getcurrent(), "spawn_tree_locals", None) or {}
    return shared.get("owner")
