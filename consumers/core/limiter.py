"""How many may write at once: lowered at once when writing turns slow, raised in steps while that pays.

Additive increase and multiplicative decrease, as TCP does it (Chiu and Jain, 1989), with one question more. A database
that is shared or small gets slower with every writer long before it gets faster, so latency alone would push the limit
down to its floor, or, measured against a baseline that follows it, up to its ceiling. So a step up is a trial
(`trials`): it stays only if it brings more rows per second. Now and then a step down is tried in the same way.

No clock and no measuring here: samples come in, moves come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from statistics import median
from typing import NamedTuple

from consumers.core.crowd import Crowd
from consumers.core.errors import Misconfigured
from consumers.core.trials import Rest, Trial

START = 2
DOWN = 0.7
"""What a limit is multiplied by when something is wrong."""
SLOW = 1.7
"""Rows that take so many times as long to write as usual mean that something is wrong."""
PAYS, PAYS_IN_A_CROWD = 0.1, 0.0
"""The part of the rows per second that twice the writers must bring to be worth it; fewer writers, in proportion. Where
processors are short or others use the database, what is had goes by heads: each writer brings little, and all together
bring up to a quarter. There a step stays if it does no harm."""
CHANGED = 1.3
"""Rows that take so many times as long as after the last trial, or so much less: what pays now is an open question."""
LEAST_CHUNKS, CHUNKS_PER_WRITER = 8, 4
"""What a limit is judged by."""
CALM_LOOKS = 3
"""So many looks without trouble say that it was not the limit which made it."""
POOL_WAIT = 0.05
REPLICA_LAG = 10.0


class Move(NamedTuple):
    """What is to be from now on, and why, in one line."""

    value: int
    reason: str
    is_turn: bool = False
    """Within a trial, whose beginning and end are worth saying, not its turns."""


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


class Written(NamedTuple):
    """A chunk that was written."""

    at: float
    """When that was done, in seconds by any clock."""
    rows: float
    seconds: float
    """What it took."""
    wanted: bool
    """Whether somebody else waited to write then."""


class _Pace(NamedTuple):
    """How a round went: `cost` in seconds per row, `rate` in rows per second, and how many wrote on average."""

    cost: float
    rate: float
    writers: float
    wanted: bool

    @classmethod
    def of(cls, chunks: Sequence[Written], since: float) -> _Pace:
        """The cost is the median: a chunk that met a checkpoint is not the rule."""
        elapsed = max(chunks[-1].at - since, 1e-9)
        return cls(
            median(chunk.seconds / chunk.rows for chunk in chunks),
            sum(chunk.rows for chunk in chunks) / elapsed,
            sum(chunk.seconds for chunk in chunks) / elapsed,
            2 * sum(chunk.wanted for chunk in chunks) >= len(chunks),
        )


class Limiter:
    """The limit on writers of one process. Samples and signals come in any order."""

    def __init__(self, floor: int, ceiling: int, processors: int = 1_000) -> None:
        """The bounds of the limit, both included; the processors of the machine.

        Raises:
            Misconfigured: they leave no room.
        """
        if not 1 <= floor <= ceiling:
            raise Misconfigured(
                f"settings.CONSUMERS: min_writers is {floor}, but must be at least 1 and at most {ceiling}, which is "
                "max_writers or the connections that lanes may hold, whichever is less"
            )
        self._floor, self._ceiling = floor, ceiling
        self._crowd = Crowd(processors)
        self._exact = float(min(max(START, floor), ceiling))
        self._round: list[Written] = []
        self._since: float | None = None
        """When the round began."""
        self._to_skip = 0
        self._usual: float | None = None
        """Seconds per row."""
        self._after_trial = 0.0
        """What was usual soon after the last one."""
        self._trial: Trial | None = None
        self._before_trouble: float | None = None
        """What to go back to when there is no more trouble."""
        self._calm_looks = CALM_LOOKS
        self._lag = 0.0
        self._forget_rests()

    @property
    def limit(self) -> int:
        return int(self._exact)

    def wrote(self, chunk: Written) -> Move | None:
        """To be told of every chunk, in the order in which they were written."""
        if chunk.rows <= 0 or chunk.seconds <= 0:
            return None
        if self._to_skip:
            self._to_skip -= 1  # it began under another limit
            self._since = chunk.at
            return None
        if self._since is None:
            self._since = chunk.at - chunk.seconds
        self._round.append(chunk)
        if len(self._round) < max(LEAST_CHUNKS, CHUNKS_PER_WRITER * self.limit):
            return None
        pace = _Pace.of(self._round, self._since)
        self._round, self._since = [], chunk.at
        if 2 * pace.writers < self.limit:
            return None  # while little is written nothing can be learnt
        if (times := self._times_as_long(pace)) > SLOW:
            self._trial = None
            self._forget_rests()
            return self._lower(f"a row takes {times:.1f} times as long to write as before")
        if self._trial is None or self.is_troubled:
            return self._steer(pace)
        return self._judge(self._trial, pace)

    def saw(self, signals: Signals) -> Move | None:
        """A look at what is outside. Trouble lowers the limit at every look, and nothing raises it meanwhile. When it
        is over, what was before is there again; only most of it, if giving it back brought the trouble back."""
        trouble, self._lag = self._trouble(signals), signals.replica_lag
        before = self._before_trouble
        if trouble:
            self._before_trouble, self._calm_looks = before or self._to_return_to(), 0
            return self._lower(trouble)
        self._before_trouble, self._calm_looks = None, self._calm_looks + 1
        if before:
            return self._return(before)
        if self._crowd.saw(signals.cpu, signals.others):  # who waits for a lock takes no processor: not until now
            self._forget_rests()  # what pays is open again
        return self._heed_others()

    @property
    def is_troubled(self) -> bool:
        """Whether there was trouble at the last look."""
        return self._before_trouble is not None

    def _to_return_to(self) -> float:
        """The limit for the time after trouble that has just begun. A trial goes on where it was, unless it is the
        limit's own fault."""
        before = self._trial.present if self._trial else self._exact
        if self._calm_looks >= CALM_LOOKS:
            return before
        self._trial = None
        return float(ceil(before * DOWN))

    def _return(self, before: float) -> Move | None:
        self._round, self._since = [], None
        if self._trial is not None:
            self._trial.begin_turn_again()
        before = min(before, self._most())
        return self._set(before, "what held it up is over") if before > self.limit else None

    def _most(self) -> int:
        """The ceiling as it is now."""
        most = self._crowd.most
        return self._ceiling if most is None else max(self._floor, min(self._ceiling, most))

    def _heed_others(self) -> Move | None:
        most = self._most()
        if max(self._exact, self._trial.high if self._trial else 0) <= most:
            return None
        self._trial = None
        return self._set(min(self._exact, most), f"{self._crowd}: {most} at the most")

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
        self._usual = None
        self._calm_looks = CALM_LOOKS
        self._round, self._to_skip = [], under_way
        if self._trial is not None:
            self._trial.begin_turn_again()
            self._exact = self._trial.next

    # ---- at the end of a round --------------------------------------------------------------------------------------

    def _times_as_long(self, pace: _Pace) -> float:
        """As usual, which is known of the present limit only."""
        is_under_another = self._trial is not None and self._trial.next == self._trial.other
        return 1.0 if self._usual is None or is_under_another else pace.cost / self._usual

    def _steer(self, pace: _Pace) -> Move | None:
        if self._usual is None:
            self._usual = self._after_trial = pace.cost
        self._usual = 0.7 * self._usual + 0.3 * pace.cost
        if not 1 / CHANGED <= self._usual / self._after_trial <= CHANGED:
            self._forget_rests()
            self._after_trial = self._usual
        return self._try(pace)

    def _try(self, pace: _Pace) -> Move | None:
        """Begin a trial, if one is due."""
        if self.is_troubled:
            return None
        is_up_due, is_down_due = self._rest_up.is_over(), self._rest_down.is_over()
        if is_up_due and pace.wanted and self.limit < self._most():
            more = min(self._exact + max(1, self.limit // 2), self._most())
            return self._begin(more, pace, f"all {self.limit} write and others wait: trying more")
        if is_down_due and self.limit > self._floor:
            fewer = max(self._exact - max(1, self.limit // 4), self._floor)
            return self._begin(fewer, pace, "trying whether fewer do as well")
        return None

    def _begin(self, other: float, pace: _Pace, reason: str) -> Move | None:
        pays = PAYS_IN_A_CROWD if self._crowd.is_felt else PAYS
        self._trial = Trial(self._exact, other, pace.rate, pays)
        return self._set(other, reason)

    def _judge(self, trial: Trial, pace: _Pace) -> Move | None:
        """After one more round of a trial."""
        trial.note(pace.rate)
        pays = trial.does_pay()
        if pays is None:
            return self._set(trial.next, "taking turns until it is clear", is_turn=True)
        self._trial = None
        rest = self._rest_up if trial.is_up else self._rest_down
        rest.begin(in_vain=pays != trial.is_up)
        if pays == trial.is_up:
            self._usual = self._after_trial = pace.cost
        found = f"{int(trial.high)} writers bring {trial.gain:+.0%} over {int(trial.low)}"
        return self._set(trial.high if pays else trial.low, found)

    # ---- moving -----------------------------------------------------------------------------------------------------

    def _lower(self, reason: str) -> Move | None:
        """Down at once; what was usual so far no longer counts."""
        before = min(self._exact, self._trial.low) if self._trial else self._exact
        self._usual = None
        return self._set(before * DOWN, reason)

    def _set(self, exact: float, reason: str, *, is_turn: bool = False) -> Move | None:
        before = self.limit
        self._exact = min(max(exact, float(self._floor)), float(self._ceiling))
        if self.limit == before:
            return None
        self._round, self._to_skip = [], max(before, self.limit)
        return Move(self.limit, reason, is_turn)

    def _forget_rests(self) -> None:
        self._rest_up, self._rest_down = Rest(0), Rest(4)
