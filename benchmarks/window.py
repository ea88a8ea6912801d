"""How long it took, seen from the table: the time between the first and the last commit.

Nobody reports a time of its own. PostgreSQL keeps the moment of each commit, and a rate is the rows of all commits but
the first over the time from the first commit to the last. So the start of a process and of its group's membership is
left out and every commit is in, in the same way for whoever wrote the rows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

FEWEST = 5
"""Commits in a window; with fewer the rate would be a matter of chance."""


class TooShort(Exception):
    """There are too few commits to speak of a rate."""


class Commit(NamedTuple):
    """A transaction: when it was committed, in seconds since the epoch, and how many rows of the table it wrote."""

    at: float
    rows: int


@dataclass(frozen=True)
class Window:
    """From the first commit to the last; `rows` are those of all commits but the first, `total` those of all."""

    started: float
    ended: float
    rows: int
    total: int

    @property
    def seconds(self) -> float:
        return self.ended - self.started

    def records(self, sent: int) -> float:
        """How many of the records sent fall into the window: not every record becomes a row."""
        return sent * self.rows / self.total

    def rate(self, sent: int) -> float:
        """Records per second."""
        return self.records(sent) / self.seconds


def window(commits: Sequence[Commit], ready: float = 0.0) -> Window:
    """The window of these commits, which are in order; it opens with the first commit at or after `ready`.

    Raises:
        TooShort: there are too few commits in it, or all at one moment.
    """
    first = bisect_left(commits, ready, key=lambda commit: commit.at)
    inside = commits[first:]
    if len(inside) < FEWEST or inside[0].at == inside[-1].at:
        raise TooShort(
            f"{len(commits)} commits, {len(inside)} of them with all processes at work, at least {FEWEST} wanted:"
            " use more --records"
        )
    return Window(
        started=inside[0].at,
        ended=inside[-1].at,
        rows=sum(commit.rows for commit in inside[1:]),
        total=sum(commit.rows for commit in commits),
    )
