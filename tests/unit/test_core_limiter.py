"""The limit on writers: stays in its bounds, finds what pays, goes down at once and up in steps."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.core.errors import Misconfigured
from consumers.core.limiter import CALM_LOOKS, DOWN, Limiter, Move, Signals, Written

CALM = Signals(ours=4)

bounds = st.tuples(st.integers(1, 8), st.integers(0, 30)).map(lambda pair: (pair[0], pair[0] + pair[1]))
writes = st.builds(
    lambda *values: lambda limiter: limiter.wrote(Written(*values)),
    st.floats(0, 1e6),
    st.floats(0, 1e3),
    st.floats(0, 1e3),
    st.booleans(),
)
looks = st.builds(
    lambda *values: lambda limiter: limiter.saw(Signals(*values)),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(0, 50),
    st.floats(0, 1),
    st.floats(0, 100),
    st.floats(0, 1e4),
)


class Writing:
    """Chunks of a row, as so many writers write them one after another."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter, self.now = limiter, 0.0

    def write(self, cost: float, writers: int, *, wanted: bool = True) -> Move | None:
        self.now += cost / writers
        return self.limiter.wrote(Written(self.now, 1.0, cost, wanted))


class Work:
    """Writers on a database that lets `capacity` of them write at full speed, and shares itself among more."""

    def __init__(self, limiter: Limiter, capacity: float, *, lanes: int = 40, noise: float = 0.0) -> None:
        self.limiter, self.capacity, self.lanes, self.noise = limiter, capacity, lanes, noise
        self.slower = 1.0
        self.writing = Writing(limiter)
        self.moves: list[Move] = []
        self._random = random.Random(7)

    def write(self, chunks: int = 1) -> None:
        for _ in range(chunks):
            writers = min(self.lanes, self.limiter.limit)
            cost = self.slower * max(1.0, writers / self.capacity) * self._random.lognormvariate(0, self.noise)
            self.note(self.writing.write(cost, writers, wanted=self.lanes > writers))

    def note(self, move: Move | None) -> None:
        if move is not None:
            self.moves.append(move)

    def settled(self, chunks: int = 4_000) -> int:
        """The limit under which most of so many chunks were written."""
        limits = []
        for _ in range(chunks):
            limits.append(self.limiter.limit)
            self.write()
        return max(set(limits), key=limits.count)


@given(bounds, st.lists(writes | looks, max_size=300))
def test_the_limit_stays_within_its_bounds_and_each_move_says_what_it_is_now(
    between: tuple[int, int], steps: list[Callable[[Limiter], Move | None]]
) -> None:
    limiter = Limiter(*between)
    for step in steps:
        before = limiter.limit
        move = step(limiter)
        assert between[0] <= limiter.limit <= between[1]
        assert (move is None) == (limiter.limit == before)
        if move is not None:
            assert move.value == limiter.limit
            assert move.reason
            assert "\n" not in move.reason


@given(bounds, st.lists(st.tuples(st.floats(0.001, 10), st.integers(1, 40)), max_size=300))
def test_a_limit_that_nobody_waits_for_is_never_raised_above_what_it_was(
    between: tuple[int, int], chunks: list[tuple[float, int]]
) -> None:
    limiter = Limiter(*between)
    start, writing = limiter.limit, Writing(limiter)
    for cost, writers in chunks:
        writing.write(cost, writers, wanted=False)
        assert limiter.limit <= start


@given(st.lists(st.tuples(st.floats(0.001, 10), st.booleans()), max_size=300))
def test_samples_of_less_than_half_the_limit_move_nothing(chunks: list[tuple[float, bool]]) -> None:
    writing = Writing(Limiter(8, 16))
    for cost, wanted in chunks:
        assert writing.write(cost, 3, wanted=wanted) is None


@pytest.mark.parametrize("capacity", [1, 2, 3, 4, 6, 10])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_it_settles_where_one_more_would_bring_nothing(capacity: int, noise: float) -> None:
    work = Work(Limiter(1, 16), capacity, noise=noise)
    work.write(2_000)
    assert capacity <= work.settled() <= capacity + 1 + capacity // 4


def test_it_goes_up_in_steps_and_to_its_ceiling_if_that_pays() -> None:
    work = Work(Limiter(1, 12), 40)
    work.write(3_000)
    limits = [2, *(move.value for move in work.moves)]
    ups = [later - earlier for earlier, later in pairwise(limits) if later > earlier]
    assert max(limits) == 12
    assert work.limiter.limit >= 9
    assert max(ups) <= 3


def test_rows_that_suddenly_take_longer_lower_it_within_one_round() -> None:
    work = Work(Limiter(1, 16), 8)
    work.write(3_000)
    while work.limiter._trial is not None:
        work.write()
    before = work.limiter.limit
    work.slower, work.moves = 3.0, []
    work.write(2 * 4 * before)  # the round that is going on, and one more
    assert work.moves[0].value == int(before * 0.7)
    assert re.fullmatch(r"a row takes [123]\.\d times as long to write as before", work.moves[0].reason)


def test_a_database_that_stays_slow_is_used_as_far_as_it_pays_nevertheless() -> None:
    work = Work(Limiter(1, 16), 4)
    work.write(1_000)
    work.slower = 4.0
    work.write(2_000)
    assert 4 <= work.settled() <= 6


def test_less_capacity_is_noticed_and_more_is_too() -> None:
    work = Work(Limiter(1, 16), 8)
    assert 8 <= work.settled() <= 10
    work.capacity = 2
    work.write(2_000)
    assert 2 <= work.settled() <= 3
    work.capacity = 8
    work.write(8_000)
    assert 8 <= work.settled() <= 11


def test_a_single_slow_chunk_is_not_the_rule() -> None:
    work = Work(Limiter(1, 2), 2, lanes=2)
    work.write(24)
    work.slower = 100.0
    work.write()
    work.slower = 1.0
    work.write(11)
    assert work.moves == []


def test_half_of_our_backends_waiting_for_locks_lower_it_at_every_look_down_to_the_floor() -> None:
    limiter = Limiter(1, 8)
    work = Work(limiter, 8)
    work.write(2_000)
    blocked = Signals(ours=3, blocked=2)
    seen = [limiter.limit]
    for _ in range(12):
        limiter.saw(blocked)
        seen.append(limiter.limit)
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == 1
    assert limiter.saw(blocked) is None


def test_nothing_raises_it_while_locks_are_waited_for_and_it_recovers_afterwards() -> None:
    work = Work(Limiter(1, 8), 8)
    work.write(2_000)
    blocked = Signals(ours=2, blocked=2)
    for _ in range(10):
        work.note(work.limiter.saw(blocked))
        work.write(50)
    assert work.limiter.limit == 1
    assert "2 of 2 active backends wait for locks" in {move.reason for move in work.moves}
    work.note(work.limiter.saw(CALM))
    assert work.moves[-1] == Move(8, "what held it up is over")
    work.write(2_000)
    assert work.settled() >= 7


def test_trouble_that_comes_back_with_the_limit_is_taken_for_its_fault() -> None:
    limiter = Limiter(1, 10)
    Work(limiter, 10).write(2_000)
    full, blocked = limiter.limit, Signals(ours=2, blocked=2)
    limiter.saw(blocked)
    assert limiter.saw(CALM) == Move(full, "what held it up is over")
    limiter.saw(blocked)
    assert limiter.saw(CALM) is None
    assert limiter.limit == int(full * DOWN)
    for _ in range(CALM_LOOKS):
        limiter.saw(CALM)
    limiter.saw(blocked)
    assert limiter.saw(CALM) == Move(int(full * DOWN), "what held it up is over")


def test_what_was_before_trouble_is_there_again_when_it_is_over() -> None:
    limiter = Limiter(1, 2)
    for _ in range(3):
        limiter.saw(Signals(ours=2, blocked=2))
    assert limiter.limit == 1
    assert limiter.is_troubled
    assert limiter.saw(CALM) == Move(2, "what held it up is over")
    assert not limiter.is_troubled


def test_others_waiting_for_locks_of_their_own_do_not_matter() -> None:
    assert Limiter(1, 8).saw(Signals(ours=2, blocked=0, others=30)) is None


def test_waiting_for_a_connection_of_the_pool_lowers_it() -> None:
    move = Limiter(1, 8).saw(Signals(ours=2, pool_wait=0.08))
    assert move == Move(1, "a connection of the pool is waited for 80 ms")


def test_a_replica_that_falls_back_lowers_it_but_not_one_that_is_late_by_design() -> None:
    limiter = Limiter(1, 8)
    assert limiter.saw(Signals(ours=2, replica_lag=12)) == Move(1, "a replica is 12 s behind, and falls back")
    limiter = Limiter(1, 8)
    limiter._lag = 3_600.0
    assert limiter.saw(Signals(ours=2, replica_lag=3_600)) is None


@pytest.mark.parametrize(("signals", "most"), [(CALM, 3), (Signals(ours=4, cpu=90), 4), (Signals(ours=4, others=9), 4)])
@pytest.mark.parametrize(("fourth", "is_worth_it"), [(1.03, True), (0.98, False)])
def test_in_a_crowd_one_more_may_bring_less(signals: Signals, most: int, fourth: float, is_worth_it: bool) -> None:
    rates = {1: 1.0, 2: 1.8, 3: 2.5, 4: 2.5 * fourth}
    limiter, reached = Limiter(1, 4), []
    writing = Writing(limiter)
    for _ in range(3_000):
        limiter.saw(signals)
        writers = limiter.limit
        writing.write(writers / rates[writers], writers)
        reached.append(limiter.limit)
    assert max(reached[-1_000:], key=reached[-1_000:].count) == (most if is_worth_it else 3)


@pytest.mark.parametrize("crowd", [Signals(ours=4, cpu=90), Signals(ours=4, others=9)], ids=["processors", "backends"])
def test_where_others_come_or_go_what_was_tried_in_vain_is_tried_again(crowd: Signals) -> None:
    work = Work(Limiter(1, 16), 4)
    work.write(12_000)  # trials have become rare
    for signals in (crowd, CALM):
        work.moves = []
        work.write(100)
        assert work.moves == []
        for _ in range(9):
            work.limiter.saw(signals)
        work.write(100)
        assert work.moves
        work.write(12_000)


def test_what_hovers_does_not_look_like_others_coming_and_going() -> None:
    work = Work(Limiter(1, 16), 4)
    work.limiter.saw(Signals(ours=4, others=9, cpu=61))
    work.write(12_000)
    while work.limiter._trial is not None:
        work.write()
    work.moves = []
    for _ in range(5):
        for others, pressure in ((1, 59), (3, 61)):
            work.limiter.saw(Signals(ours=4, others=others, cpu=pressure))
            work.write(20)
    assert work.moves == []


def test_a_step_that_is_not_clear_at_once_takes_turns_and_only_its_beginning_and_end_are_worth_saying() -> None:
    work = Work(Limiter(1, 4), 2.1)
    while sum(not move.is_turn for move in work.moves) < 2:
        work.write()
    begin, *turns, end = work.moves
    assert (begin.value, begin.reason) == (3, "all 2 write and others wait: trying more")
    assert {move.is_turn for move in turns} == {True}
    assert [move.value for move in turns] == [2, 3] * (len(turns) // 2)
    assert (end.value, end.reason, end.is_turn) == (2, "3 writers bring +5% over 2", False)


def test_a_trial_that_somebody_came_between_goes_on_and_does_not_stay_where_it_was() -> None:
    work = Work(Limiter(1, 4), 2.1)
    while work.limiter._trial is None:
        work.write()
    trial = work.limiter._trial
    assert work.limiter.limit == 3
    work.limiter.resume(0)
    assert (work.limiter.limit, work.limiter._trial) == (2, trial)


def test_what_was_tried_in_vain_before_trouble_still_counts_after_it() -> None:
    work = Work(Limiter(1, 16), 4)
    work.write(12_000)  # trials have become rare
    work.limiter.saw(Signals(ours=4, blocked=4))
    work.limiter.saw(CALM)
    work.moves = []
    work.write(100)
    assert work.moves == []


def test_what_is_lowered_during_a_trial_is_the_lower_of_the_two() -> None:
    work = Work(Limiter(1, 16), 40)
    while work.limiter.limit < 9:
        work.write()
    assert work.limiter._trial is not None
    assert work.limiter.saw(Signals(ours=9, blocked=9)) == Move(4, "9 of 9 active backends wait for locks")
    assert work.limiter.saw(Signals(ours=9, blocked=9)) == Move(2, "9 of 9 active backends wait for locks")
    assert work.limiter.saw(CALM) == Move(6, "what held it up is over")


def test_a_trial_goes_on_after_trouble_under_the_present_limit() -> None:
    work = Work(Limiter(1, 4), 2.1)
    while sum(move.is_turn for move in work.moves) < 4:
        work.write()
    trial = work.limiter._trial
    work.limiter.saw(Signals(ours=2, blocked=2))
    work.write(100)
    work.limiter.saw(CALM)
    assert (work.limiter.limit, work.limiter._trial) == (2, trial)
    while work.limiter._trial is trial:
        work.write()
    assert work.moves[-1].reason == "3 writers bring +5% over 2"


def test_a_trial_ends_with_trouble_that_came_back_with_its_limit() -> None:
    work = Work(Limiter(1, 16), 40)
    while work.limiter.limit < 9:
        work.write()
    for _ in range(2):
        work.limiter.saw(Signals(ours=9, blocked=9))
        work.limiter.saw(CALM)
    assert (work.limiter.limit, work.limiter._trial) == (5, None)


def test_nothing_is_tried_while_something_is_wrong() -> None:
    work = Work(Limiter(1, 16), 8)
    work.write(500)
    work.limiter.saw(Signals(ours=8, blocked=8))
    work.moves = []
    work.write(2_000)
    assert work.moves == []


@pytest.mark.parametrize(("signals", "most"), [(Signals(ours=4, cpu=90), 8), (Signals(ours=4, cpu=90, others=9), 6)])
def test_where_processors_are_short_there_are_a_few_writers_for_each(signals: Signals, most: int) -> None:
    work = Work(Limiter(1, 16, processors=2), 40)
    work.limiter.saw(signals)
    work.write(3_000)
    assert max(move.value for move in work.moves) == most
    for _ in range(9):
        work.limiter.saw(CALM)
    work.write(3_000)
    assert max(move.value for move in work.moves) == 16


def test_what_is_seen_of_others_while_a_lock_holds_us_up_does_not_count() -> None:
    work = Work(Limiter(1, 16, processors=2), 40)
    pressed, waiting = Signals(ours=8, cpu=90), Signals(ours=8, blocked=8, cpu=0)
    work.limiter.saw(pressed)
    work.write(3_000)
    assert work.limiter.limit == 8
    for _ in range(5):
        work.limiter.saw(waiting)
    assert work.limiter.saw(CALM) == Move(8, "what held it up is over")
    work.moves = []
    work.write(200)
    assert all(move.value <= 8 for move in work.moves)


def test_what_is_too_much_where_others_come_is_given_up_at_the_next_look() -> None:
    work = Work(Limiter(1, 16, processors=2), 40)
    work.write(3_000)
    assert work.limiter.limit > 8
    assert work.limiter.saw(Signals(ours=4, cpu=90)) == Move(8, "processors are short: 8 at the most")
    assert work.limiter._trial is None
    found = work.limiter.saw(Signals(ours=4, cpu=90, others=9))
    assert found == Move(6, "processors are short, and others use the database: 6 at the most")
    assert work.limiter.saw(Signals(ours=4, cpu=90, others=9)) is None


def test_writing_that_turns_slow_during_a_trial_is_noticed_too() -> None:
    work = Work(Limiter(1, 4), 2.1)
    while sum(move.is_turn for move in work.moves) < 2:
        work.write()
    work.slower, work.moves = 3.0, []
    work.write(40)
    assert Move(1, "a row takes 3.0 times as long to write as before") in work.moves


def test_the_floor_holds_even_where_processors_are_short() -> None:
    work = Work(Limiter(6, 16, processors=1), 40)
    work.limiter.saw(Signals(ours=4, cpu=90))
    work.write(3_000)
    assert {move.value for move in work.moves} <= {6}


def test_writes_begun_under_a_limit_of_somebody_elses_tell_nothing() -> None:
    work = Work(Limiter(1, 16), 4)
    work.write(50)
    work.limiter.resume(16)
    before = work.limiter.limit
    for _ in range(16):
        assert work.writing.write(99.0, 16) is None
    work.write(7)
    assert work.limiter.limit == before


def test_trouble_after_a_time_under_somebody_elses_limit_is_not_taken_for_this_ones_fault() -> None:
    limiter = Limiter(1, 10)
    Work(limiter, 10).write(2_000)
    full, blocked = limiter.limit, Signals(ours=2, blocked=2)
    limiter.saw(blocked)
    limiter.saw(CALM)
    limiter.resume(0)
    limiter.saw(blocked)
    assert limiter.saw(CALM) == Move(full, "what held it up is over")


def test_trials_in_vain_become_rare() -> None:
    work = Work(Limiter(1, 16), 3)
    work.write(2_000)
    early = len(work.moves)
    work.moves = []
    work.write(2_000)
    assert len(work.moves) < early / 3


@pytest.mark.parametrize(("floor", "ceiling"), [(0, 4), (5, 4)])
def test_bounds_that_leave_no_room_are_refused_by_name(floor: int, ceiling: int) -> None:
    with pytest.raises(Misconfigured, match=f"min_writers is {floor}, but must be at least 1 and at most {ceiling}"):
        Limiter(floor, ceiling)
