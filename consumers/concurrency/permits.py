"""How many greenlets may do something at once."""

from __future__ import annotations

from collections import deque

from consumers.concurrency.clock import Event


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
