"""Whether a higher limit is worth it: two limits take turns, a round each, until that is clear.

Rows per second differ by a tenth and more from one round to the next though nothing has changed, and by more when
something has, so one round beside another tells little. Turns are compared with their neighbours, which meet the same
minutes, and go on until the difference is far enough from chance: a sequential test, after Wald (Sequential Tests of
Statistical Hypotheses, 1945).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1, log, log2, sqrt
from statistics import fmean, median

NOISE = 0.15
"""How much the ratio of two rounds differs by chance: the standard deviation of its logarithm, by measurement 0.1 on an
idle server and 0.2 on a busy one."""
CLEAR = 1.25
"""Standard errors from what would be just worth it."""
MOST_TURNS = 8
"""After so many the better limit is taken, clear or not."""


class Trial:
    """The present limit and another one in turns."""

    def __init__(self, present: float, other: float, rate: float, pays: float) -> None:
        """`rate`, in rows per second, is that of a round under the present one; `pays` the part of it that twice the
        limit must bring to be worth it, and less than twice in proportion."""
        self.present, self.other = present, other
        self.is_up = other > present
        self.low, self.high = sorted((present, other))
        self._least = pays * log2(int(self.high) / int(self.low))
        self._rates = [rate]
        """Of the rounds so far, every other one under the other limit."""

    @property
    def next(self) -> float:
        """The limit whose turn it is."""
        return self.other if len(self._rates) % 2 else self.present

    def note(self, rate: float) -> None:
        """What a round brought under the limit whose turn it was."""
        self._rates.append(rate)

    def begin_turn_again(self) -> None:
        """Something came between: the present limit's round is too old to be compared with."""
        del self._rates[len(self._rates) // 2 * 2 :]

    def does_pay(self) -> bool | None:
        """Whether the higher limit is worth it; None while that is not clear."""
        if len(self._rates) % 2:
            return None
        gains = self._gains()
        beyond = median(gains) - self._least
        return beyond > 0 if len(gains) >= MOST_TURNS or abs(beyond) > CLEAR * _error(gains) else None

    @property
    def gain(self) -> float:
        """What the higher limit brings over the lower one, as a part of what that one brings."""
        return expm1(median(self._gains()))

    def _gains(self) -> list[float]:
        """Of each turn, the ratio's logarithm: the other limit's round to the present one's before and after it."""
        rates = [log(rate) for rate in self._rates]
        gains = [rates[turn] - fmean(rates[turn - 1 : turn + 2 : 2]) for turn in range(1, len(rates), 2)]
        return gains if self.is_up else [-gain for gain in gains]


def _error(gains: Sequence[float]) -> float:
    """The standard error of their mean, with what is usual as one observation more: two may agree by chance."""
    middle = median(gains)
    return sqrt((NOISE**2 + sum((gain - middle) ** 2 for gain in gains)) / len(gains) / len(gains))


class Rest:
    """Rounds until something is tried again: twice as many after each time in vain."""

    LONGEST = 256

    def __init__(self, first: int) -> None:
        self._first = self._length = self._left = first

    def is_over(self) -> bool:
        """To be asked once a round."""
        self._left -= 1
        return self._left < 0

    def begin(self, *, in_vain: bool) -> None:
        """After a trial."""
        self._length = min(2 * max(1, self._length), self.LONGEST) if in_vain else self._first
        self._left = self._length
