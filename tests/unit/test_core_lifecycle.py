"""A consumer's state moves one way only."""

from __future__ import annotations

from itertools import product

import pytest

from consumers.core.lifecycle import Lifecycle, State


@pytest.mark.parametrize(("before", "after"), [*product(State, State)])
def test_a_state_gives_way_only_to_a_later_one(before: State, after: State) -> None:
    lifecycle = Lifecycle()
    lifecycle.advance(before)
    moved = lifecycle.advance(after)
    assert moved is (after > before)
    assert lifecycle.state is max(before, after)


def test_only_the_first_request_to_drain_is_the_first() -> None:
    lifecycle = Lifecycle()
    lifecycle.advance(State.RUNNING)
    assert [lifecycle.advance(State.DRAINING) for _ in range(3)] == [True, False, False]


def test_a_stop_before_the_start_is_not_lost() -> None:
    lifecycle = Lifecycle()
    lifecycle.advance(State.DRAINING)
    assert not lifecycle.advance(State.RUNNING)
    assert lifecycle.state is State.DRAINING
