"""The size of chunks: what is written in the time aimed at, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.core.errors import Misconfigured
from consumers.core.limiter import Move
from consumers.core.sizing import LOOK_BACK, ChunkSize

samples = st.lists(st.tuples(st.integers(0, 5_000), st.floats(0, 100)), max_size=200)


@given(st.integers(1, 500), st.integers(1, 5_000), samples)
def test_a_size_stays_within_its_bounds_and_each_move_says_what_it_is_now(
    floor: int, ceiling: int, chunks: list[tuple[int, float]]
) -> None:
    size = ChunkSize(0.2, floor, ceiling)
    for rows, seconds in chunks:
        before = size.size
        move = size.wrote(rows, seconds)
        assert min(floor, ceiling) <= size.size <= ceiling
        assert (move is None) == (size.size == before)
        assert move is None or move.value == size.size


@given(st.floats(1e-5, 1e-2))
def test_at_a_steady_cost_it_ends_near_the_target_and_stays(cost: float) -> None:
    size = ChunkSize(0.2, 100, 2_000)
    for _ in range(100):
        size.wrote(size.size, size.size * cost)
    ideal = min(max(0.2 / cost, 100), 2_000)
    assert ideal / 1.6 <= size.size <= 1.6 * ideal
    before = size.size
    assert [size.wrote(size.size, size.size * cost) for _ in range(9)] == [None] * 9
    assert size.size == before


def test_slow_chunks_halve_it_after_a_few_and_say_why() -> None:
    size = ChunkSize(0.2, 100, 1_000)
    moves = [size.wrote(1_000, 2.0) for _ in range(LOOK_BACK)]
    assert moves == [*[None] * (LOOK_BACK - 1), Move(500, "1000 records take 2000 ms to write")]


def test_chunks_a_little_over_the_target_are_left_alone() -> None:
    size = ChunkSize(0.2, 100, 1_000)
    assert [size.wrote(1_000, 0.28) for _ in range(3 * LOOK_BACK)] == [None] * 3 * LOOK_BACK


def test_it_grows_by_half_when_writing_is_quick_again() -> None:
    size = ChunkSize(0.2, 100, 1_000)
    for _ in range(4 * LOOK_BACK):
        size.wrote(size.size, 10.0)
    assert size.size == 100
    moves = [size.wrote(size.size, 0.01) for _ in range(3 * LOOK_BACK)]
    assert [move.value for move in moves if move] == [151, 227, 341]


def test_one_chunk_that_met_a_checkpoint_changes_nothing() -> None:
    size = ChunkSize(0.2, 100, 1_000)
    assert [size.wrote(1_000, seconds) for seconds in (0.1, 9.0, 0.1, 0.1)] == [None] * 4


def test_small_chunks_tell_nothing() -> None:
    size = ChunkSize(0.2, 100, 1_000)
    assert [size.wrote(500, 9.0) for _ in range(9)] == [None] * 9


@pytest.mark.parametrize(("target", "floor"), [(0, 100), (-1, 100), (0.2, 0)])
def test_a_target_that_makes_no_sense_is_refused_by_name(target: float, floor: int) -> None:
    with pytest.raises(Misconfigured, match="target_write_time"):
        ChunkSize(target, floor, 1_000)
