"""The states of a running consumer: one way only."""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """In order; a state never gives way to an earlier one."""

    NEW = 0
    RUNNING = 1
    DRAINING = 2
    """No new polls of records; chunks in flight settle; the client still polls, paused."""
    STOPPED = 3


class Lifecycle:
    """Holds the state, moves it forward only."""

    def __init__(self) -> None:
        self.state = State.NEW

    def advance(self, state: State) -> bool:
        """Move to `state`; False, and no change, if that would not be forward."""
        if state <= self.state:
            return False
        self.state = state
        return True
