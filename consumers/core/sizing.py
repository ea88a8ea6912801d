"""How many records make a chunk: as many as are written in the time aimed at. Arithmetic only, no clock."""

from __future__ import annotations

from collections import deque
from statistics import median

from consumers.core.errors import Misconfigured
from consumers.core.limiter import Move

LOOK_BACK = 5
"""Chunks that must all say the same before the size is changed: one that met a checkpoint is not the rule, and what
writing takes differs by half from one chunk to the next though nothing has changed."""
SHRINK, GROW = 0.5, 1.5
"""The most that one move changes."""
TOLERANCE = 1.5
"""Chunks that take up to so many times the target, or the target up to so many times them, are left as they are: small
ones have a dearer transaction per row, and a size that follows every breath settles nowhere."""


class ChunkSize:
    """The size of one consumer's chunks. Halves quickly, grows by half, and only while chunks are full."""

    def __init__(self, target: float, floor: int, ceiling: int) -> None:
        """`target` in seconds; the bounds in records, both included (a floor above the ceiling is lowered to it).

        Raises:
            Misconfigured: they make no sense.
        """
        if target <= 0 or floor < 1:
            raise Misconfigured(
                f"settings.CONSUMERS: target_write_time ({target:g}) must be above 0, and min_chunk_records ({floor}) "
                "at least 1"
            )
        self._target, self._floor, self._ceiling = target, min(floor, ceiling), ceiling
        self.size = ceiling
        self._seconds: deque[float] = deque(maxlen=LOOK_BACK)

    def wrote(self, rows: int, seconds: float) -> Move | None:
        """A chunk of so many records was written. Small ones tell little: they cost a transaction too."""
        if 2 * rows <= self.size or (latest := seconds / rows) <= 0:
            return None
        self._seconds.append(latest)
        if len(self._seconds) < LOOK_BACK:
            return None
        cost = median(self._seconds)
        if self._wanted(min(self._seconds)) * TOLERANCE < self.size:
            return self._set(int(max(self._wanted(cost), self.size * SHRINK)), cost)
        if self._wanted(max(self._seconds)) > TOLERANCE * self.size:
            return self._set(int(self.size * GROW) + 1, cost)
        return None

    def _wanted(self, cost: float) -> float:
        return min(self._target / cost, 2.0 * self._ceiling)

    def _set(self, size: int, cost: float) -> Move | None:
        before, self.size = self.size, min(max(size, self._floor), self._ceiling)
        self._seconds.clear()
        if self.size == before:
            return None
        return Move(self.size, f"{before} records take {before * cost * 1000:.0f} ms to write")
