"""Whether to hope: what is cheap when it succeeds and dear when it fails is tried less often the more it fails."""

from __future__ import annotations


class Optimism:
    """Failures in a row double the number of turns that are then not tried, successes halve it.

    It goes on trying where about two turns in three succeed, which is where COPY straight into a table stops being
    cheaper than by way of a stage: a success saves a fifth, a failure wastes half a chunk.
    """

    LONGEST_REST = 64

    def __init__(self) -> None:
        self._rest = 0
        self._next_rest = 1

    def tries(self) -> bool:
        """Whether to try this turn; to be followed by `paid` or `failed` if so."""
        if self._rest:
            self._rest -= 1
            return False
        return True

    def paid(self) -> None:
        self._next_rest = max(1, self._next_rest // 2)

    def failed(self) -> None:
        self._rest = self._next_rest
        self._next_rest = min(2 * self._next_rest, self.LONGEST_REST)
