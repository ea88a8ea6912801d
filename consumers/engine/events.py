"""What happened to a running consumer, for whoever reports it: a short memory, so that nothing waits for a reader."""

from __future__ import annotations

from collections import deque
from time import time
from typing import NamedTuple

_KEPT = 200


class Event(NamedTuple):
    """Something that an operator may want to know of. `at` in seconds since the epoch."""

    at: float
    kind: str
    text: str


class Events:
    """The latest happenings. Where nobody takes them, the oldest are forgotten."""

    def __init__(self) -> None:
        self._kept: deque[Event] = deque(maxlen=_KEPT)

    def add(self, kind: str, text: str) -> None:
        self._kept.append(Event(time(), kind, text))

    def take(self) -> list[Event]:
        """Those that nobody has taken yet, in their order."""
        taken = list(self._kept)
        self._kept.clear()
        return taken
