"""Whether others are at work too, and how many writers that leaves room for.

Where processors are short, what each gets goes by heads: a writer more takes what it brings from somebody else.
"""

from __future__ import annotations

PRESSED, EASED = 60.0, 30.0
"""Percent of the time in which processors are waited for: from so much on they are short, until it is less."""
SHARED, ALONE = 2.0, 1.0
"""Busy backends of others, on average: from so many on they share the database with us, until they are fewer."""
A_PROCESSOR, A_SHARED_ONE = 4, 3
"""The most writers for each processor where they are short, and where others use the database too: more would leave
those only the queue."""
LATEST = 0.3
"""How much the latest look counts in the average."""


class Crowd:
    """What looks outside say of others."""

    def __init__(self, processors: int) -> None:
        """Of this machine."""
        self._processors = processors
        self._others = 0.0
        self._is_pressed = self._is_shared = False

    def saw(self, cpu: float, others: int) -> bool:
        """A look: the percent of the time in which processors are waited for, by ourselves too, and the busy backends
        of others. Returns whether others came or went."""
        before = self._is_pressed, self._is_shared
        self._others += LATEST * (others - self._others)
        self._is_pressed = cpu >= (EASED if self._is_pressed else PRESSED)
        self._is_shared = self._others >= (ALONE if self._is_shared else SHARED)
        return before != (self._is_pressed, self._is_shared)

    @property
    def is_felt(self) -> bool:
        return self._is_pressed or self._is_shared

    @property
    def most(self) -> int | None:
        """The most writers that there is room for; None without a bound."""
        if not self._is_pressed:
            return None
        return self._processors * (A_SHARED_ONE if self._is_shared else A_PROCESSOR)

    def __str__(self) -> str:
        return "processors are short" + (", and others use the database" if self._is_shared else "")
