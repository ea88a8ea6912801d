"""What a fault is, and what all kinds of them need."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from tests.chaos.rounds import World

PATIENCE = 20.0


@dataclass(frozen=True)
class Fault:
    """One entry of a schedule. Times in seconds from the round's start; `lasts` means nothing to some kinds."""

    number: int
    at: float
    kind: str
    slot: int
    lasts: float
    passes: int
    table: str

    def __str__(self) -> str:
        return f"#{self.number} at {self.at:.1f} s: {self.kind} (slot {self.slot}, {self.lasts:.1f} s)"


class Missed(Exception):
    """The fault did not come about: its target was not there, or the point was not reached."""


Act = Callable[["World", Fault], None]
"""Makes the fault happen; returns when it has passed."""


def wait_for(condition: Callable[[], object]) -> bool:
    """Whether the condition came true in good time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def insist(action: Callable[[], object]) -> None:
    """Do it as soon as the database can be reached, whatever else goes on."""
    deadline = time.monotonic() + 60
    while True:
        try:
            action()
            return
        except psycopg.Error:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
