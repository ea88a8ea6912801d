"""How many may write at once: lowered at once when writing turns slow, raised one at a time while it pays.

Additive increase and multiplicative decrease, as TCP does it (Chiu and Jain, 1989), with one question more. A database
that is shared or small gets slower with every writer long before it gets faster, so latency alone would push the limit
down to its floor, or, measured against a baseline that follows it, up to its ceiling. So a step up is a trial: it stays
only if the rows per second rose by a fair part of what a writer brings. Now and then a step down is tried too.

No clock and no measuring here: samples come in, moves come out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from consumers.core.errors import Misconfigured

START = 2
DOWN = 0.7
"""What a limit is multiplied by when something is wrong."""
SLOW = 1.7
"""Rows that take so many times as long to write as usual mean that something is wrong."""
PAYS, PAYS_IN_A_CROWD = 0.2, 0.35
"""The part of what the others bring each that one writer more must bring."""
ALWAYS_PAYS = 0.1
"""But who brings so much more of the whole is welcome in any case."""
LEAST_CHUNKS, CHUNKS_PER_WRITER = 8, 4
"""What a limit is judged by."""
CALM_LOOKS = 3
"""So many looks without trouble say that it was not the limit which made it."""
POOL_WAIT = 0.05
CPU_IN_A_CROWD = 60.0
REPLICA_LAG = 10.0


class Move(NamedTuple):
    """What is to be from now on, and why, in one line."""

    value: int
    reason: str


class Signals(NamedTuple):
    """What was seen outside: the database's backends, the pool, the machine. What is unknown is 0."""

    ours: int = 0
    """Backends of this application that are at work."""
    blocked: int = 0
    """Those of them that wait for a lock."""
    others: int = 0
    """Other backends at work."""
    pool_wait: float = 0.0
    """Seconds that a connection of the pool was waited for, on average."""
    cpu: float = 0.0
    """Percent of the time in which some task of the machine waited for a processor."""
    replica_lag: float = 0.0
    """Seconds that the slowest replica is behind."""


class _Sample(NamedTuple):
    cost: float
    writers: int
    wanted: bool


@dataclass(frozen=True)
class _Pace:
    """How it went over a round: `cost` in seconds per row, `rate` in rows per second (Little's law)."""

    cost: float
    rate: float
    wanted: bool

    @classmethod
    def of(cls, samples: list[_Sample]) -> _Pace:
        """Without the cheapest and the dearest eighth: a checkpoint is not the rule."""
        cut = len(samples) // 8
        costs = sorted(sample.cost for sample in samples)[cut : len(samples) - cut]
        cost = sum(costs) / len(costs)
        writers = sum(sample.writers for sample in samples) / len(samples)
        return cls(cost, writers / cost, 2 * sum(sample.wanted for sample in samples) >= len(samples))

    def blended(self, later: _Pace) -> _Pace:
        """The usual, after one round more."""
        cost, rate = (0.7 * old + 0.3 * new for old, new in ((self.cost, later.cost), (self.rate, later.rate)))
        return _Pace(cost, rate, later.wanted)


class _Rest:
    """Rounds until something is tried again: twice as many after each time in vain."""

    LONGEST = 256

    def __init__(self, first: int) -> None:
        self._first = self._length = self._left = first

    def is_over(self) -> bool:
        """To be asked once a round."""
        self._left -= 1
        return self._left < 0

    def begin(self, *, in_vain: bool) -> None:
        self._length = min(2 * max(1, self._length), self.LONGEST) if in_vain else self._first
        self._left = self._length


class Limiter:
    """The limit on writers of one process. Samples and signals come in any order."""

    def __init__(self, floor: int, ceiling: int) -> None:
        """The bounds of the limit, both included.

        Raises:
            Misconfigured: they leave no room.
        """
        if not 1 <= floor <= ceiling:
            raise Misconfigured(
                f"settings.CONSUMERS: min_writers is {floor}, but must be at least 1 and at most {ceiling}, which is "
                "max_writers or the connections that lanes may hold, whichever is less"
            )
        self._floor, self._ceiling = floor, ceiling
        self._exact = float(min(max(START, floor), ceiling))
        self._samples: list[_Sample] = []
        self._to_skip = 0
        self._usual: _Pace | None = None
        self._before_trial: float | None = None
        self._before_trouble: float | None = None
        """What to go back to when there is no more trouble."""
        self._calm_looks = CALM_LOOKS
        self._is_crowded = False
        self._lag = 0.0
        self._forget_rests()

    @property
    def limit(self) -> int:
        return int(self._exact)

    def wrote(self, cost: float, *, writers: int, wanted: bool) -> Move | None:
        """A chunk was written at `cost` seconds per row while so many wrote, itself included; `wanted`: somebody waited
        to write. While little is written nothing can be learnt."""
        if 2 * writers < self.limit or cost <= 0:
            return None
        if self._to_skip:
            self._to_skip -= 1  # it began under another limit
            return None
        self._samples.append(_Sample(cost, writers, wanted))
        if len(self._samples) < max(LEAST_CHUNKS, CHUNKS_PER_WRITER * self.limit):
            return None
        pace, self._samples = _Pace.of(self._samples), []
        return self._steer(pace) if self._before_trial is None else self._judge(pace)

    def saw(self, signals: Signals) -> Move | None:
        """A look at what is outside. Trouble lowers the limit at every look, and nothing raises it meanwhile. When it
        is over, what was before is there again; only most of it, if giving it back brought the trouble back."""
        self._is_crowded = signals.cpu >= CPU_IN_A_CROWD or signals.others > max(1, signals.ours)
        trouble, self._lag = self._trouble(signals), signals.replica_lag
        before = self._before_trouble
        if trouble:
            if not before:
                before = self._exact if self._calm_looks >= CALM_LOOKS else ceil(self._exact * DOWN)
            self._before_trouble, self._calm_looks = before, 0
            return self._lower(trouble)
        self._before_trouble, self._calm_looks = None, self._calm_looks + 1
        return self._set(before, "what held it up is over") if before and before > self.limit else None

    @property
    def is_troubled(self) -> bool:
        """Whether there was trouble at the last look."""
        return self._before_trouble is not None

    def _trouble(self, signals: Signals) -> str:
        if 2 * signals.blocked > signals.ours:
            return f"{signals.blocked} of {signals.ours} active backends wait for locks"
        if signals.pool_wait > POOL_WAIT:
            return f"a connection of the pool is waited for {signals.pool_wait * 1000:.0f} ms"
        if signals.replica_lag > max(REPLICA_LAG, self._lag):
            return f"a replica is {signals.replica_lag:.0f} s behind, and falls back"
        return ""

    def resume(self, under_way: int) -> None:
        """After a time in which somebody else set the limit: so many writes of then are still under way."""
        self._usual = self._before_trial = None
        self._samples, self._to_skip = [], under_way

    # ---- at the end of a round --------------------------------------------------------------------------------------

    def _steer(self, pace: _Pace) -> Move | None:
        usual = self._usual
        if usual is not None and pace.cost > SLOW * usual.cost:
            return self._lower(f"a row takes {pace.cost / usual.cost:.1f} times as long to write as before")
        if usual is not None and usual.cost > SLOW * pace.cost:
            self._forget_rests()
            usual = None
        self._usual = pace if usual is None else usual.blended(pace)
        return self._try(pace)

    def _try(self, pace: _Pace) -> Move | None:
        """Begin a trial, if one is due."""
        is_up_due, is_down_due = self._rest_up.is_over(), self._rest_down.is_over()
        step = max(1, self.limit // 4)
        if is_up_due and pace.wanted and not self.is_troubled and self.limit < self._ceiling:
            self._before_trial = self._exact
            return self._set(self._exact + step, f"all {self.limit} write and others wait: trying more")
        if is_down_due and self.limit > self._floor:
            self._before_trial = self._exact
            return self._set(self._exact - step, "trying whether fewer do as well")
        return None

    def _judge(self, pace: _Pace) -> Move | None:
        """End a trial: of the two limits, the lower one unless the higher one pays."""
        before, self._before_trial = self._before_trial, None
        usual = self._usual
        if before is None or usual is None:
            return None
        is_up = self._exact > before
        low, high = (int(before), self.limit) if is_up else (self.limit, int(before))
        gain = pace.rate / usual.rate - 1 if is_up else usual.rate / pace.rate - 1
        share = PAYS_IN_A_CROWD if self._is_crowded else PAYS
        pays = gain >= min(ALWAYS_PAYS, share * max(1, high - low) / low)
        rest = self._rest_up if is_up else self._rest_down
        rest.begin(in_vain=pays != is_up)
        if pays == is_up:
            self._usual = pace
            return None
        return self._set(before, f"{high} writers bring {gain:+.0%} over {low}")

    # ---- moving -----------------------------------------------------------------------------------------------------

    def _lower(self, reason: str) -> Move | None:
        """Down at once; what was usual so far and what was tried in vain no longer count."""
        self._usual = self._before_trial = None
        self._samples = []
        self._forget_rests()
        return self._set(self._exact * DOWN, reason)

    def _set(self, exact: float, reason: str) -> Move | None:
        before = self.limit
        self._exact = min(max(exact, float(self._floor)), float(self._ceiling))
        if self.limit == before:
            return None
        self._to_skip = max(before, self.limit)
        return Move(self.limit, reason)

    def _forget_rests(self) -> None:
        self._rest_up, self._rest_down = _Rest(0), _Rest(8)
