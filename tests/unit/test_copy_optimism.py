"""When COPY straight into the table is tried."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from consumers.core.optimism import Optimism


def tries(optimism: Optimism, fail: bool, turns: int) -> list[bool]:
    """Which of the turns were tried, each of them ending in the same way."""
    tried = []
    for _ in range(turns):
        tried.append(optimism.tries())
        if tried[-1]:
            (optimism.failed if fail else optimism.paid)()
    return tried


def test_what_succeeds_is_tried_always() -> None:
    assert tries(Optimism(), fail=False, turns=100) == [True] * 100


def test_each_failure_doubles_the_rest_that_follows_up_to_a_limit() -> None:
    turns = [turn for turn, tried in enumerate(tries(Optimism(), fail=True, turns=1000)) if tried]
    gaps = [later - earlier - 1 for earlier, later in pairwise(turns)]
    assert gaps[:7] == [1, 2, 4, 8, 16, 32, 64]
    assert set(gaps[7:]) == {Optimism.LONGEST_REST}


def test_successes_shorten_the_rest_again() -> None:
    optimism = Optimism()
    tries(optimism, fail=True, turns=200)
    while not optimism.tries():
        pass
    for _ in range(10):
        optimism.paid()
    optimism.failed()
    assert [optimism.tries() for _ in range(2)] == [False, True]


@pytest.mark.parametrize(("failing", "least", "most"), [(0.02, 0.9, 1.0), (0.2, 0.6, 1.0), (0.9, 0.0, 0.1)])
def test_the_share_of_turns_tried_follows_how_often_they_succeed(failing: float, least: float, most: float) -> None:
    optimism, dice = Optimism(), random.Random(1)
    tried = 0
    for _ in range(5_000):
        if optimism.tries():
            tried += 1
            (optimism.failed if dice.random() < failing else optimism.paid)()
    assert least <= tried / 5_000 <= most
