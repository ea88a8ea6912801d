"""Two limits in turns: what is clear is decided at once, what is not is measured more often."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.core.trials import MOST_TURNS, Rest, Trial

PAYS = 0.1


def decide(trial: Trial, rates: dict[float, float], noise: float = 0.0, seed: int = 1) -> tuple[bool, int]:
    """What a trial comes to, and after how many turns."""
    rng = random.Random(seed)
    for turns in range(1, 1_000):
        for _ in range(2):
            if trial.next == trial.other or turns > 1:
                trial.note(rates[trial.next] * rng.lognormvariate(0, noise))
            if (pays := trial.does_pay()) is not None:
                return pays, turns
    raise AssertionError("it never ends")


@pytest.mark.parametrize(("gain", "pays"), [(1.5, True), (1.0, False), (0.5, False)])
@pytest.mark.parametrize("is_up", [True, False])
def test_the_higher_one_must_bring_more(gain: float, pays: bool, is_up: bool) -> None:
    limits = (2.0, 4.0) if is_up else (4.0, 2.0)
    found, _ = decide(Trial(*limits, 1.0 if is_up else gain, PAYS), {2.0: 1.0, 4.0: gain})
    assert found == pays


def test_what_is_clear_takes_one_turn_and_what_is_not_more() -> None:
    _, clear = decide(Trial(2.0, 4.0, 1.0, PAYS), {2.0: 1.0, 4.0: 2.0})
    _, close = decide(Trial(2.0, 4.0, 1.0, PAYS), {2.0: 1.0, 4.0: 1.12})
    assert clear == 1
    assert 2 < close <= MOST_TURNS


@given(st.lists(st.floats(1e-9, 1e9), min_size=2 * MOST_TURNS, max_size=2 * MOST_TURNS), st.booleans())
def test_it_always_ends(rates: list[float], is_up: bool) -> None:
    trial = Trial(*((3.0, 4.5) if is_up else (4.5, 3.0)), rates[0], PAYS)
    found = None
    for rate in rates[1:]:
        trial.note(rate)
        found = trial.does_pay()
        if found is not None:
            break
    assert found is not None


@pytest.mark.parametrize("trend", [1.03, 0.97], ids=["quicker and quicker", "slower and slower"])
@pytest.mark.parametrize("is_up", [True, False])
def test_a_machine_that_changes_meanwhile_favours_neither(trend: float, is_up: bool) -> None:
    trial = Trial(*((4.0, 6.0) if is_up else (6.0, 4.0)), 1.0, PAYS)
    for round_ in range(1, 2 * MOST_TURNS - 1):
        trial.note(trend**round_)
    assert abs(trial.gain) < 0.01


def test_one_round_that_met_something_else_does_not_decide() -> None:
    trial = Trial(2.0, 3.0, 1.0, PAYS)
    for rate in (1.12, 1.0, 1.12, 1.0, 0.2, 1.0, 1.12):
        trial.note(rate)
    assert trial.gain == pytest.approx(0.12)


def test_most_trials_of_limits_that_do_alike_keep_the_lower_one_and_most_that_pay_keep_the_higher() -> None:
    """With as much noise as a busy server has."""
    noise = 0.2 / math.sqrt(2)
    alike = [decide(Trial(4.0, 6.0, 1.0, PAYS), {4.0: 1.0, 6.0: 1.0}, noise, seed)[0] for seed in range(300)]
    better = [decide(Trial(4.0, 6.0, 1.0, PAYS), {4.0: 1.0, 6.0: 1.25}, noise, seed)[0] for seed in range(300)]
    assert sum(alike) < 90
    assert sum(better) > 240


def test_a_turn_begins_again_under_the_present_limit() -> None:
    trial = Trial(2.0, 3.0, 1.0, PAYS)
    assert trial.next == 3.0
    trial.begin_turn_again()
    assert trial.next == 2.0
    for rate in (1.0, 1.1):
        trial.note(rate)
    trial.begin_turn_again()
    assert (trial.next, trial.gain) == (2.0, pytest.approx(0.1))


def test_rests_double_while_in_vain_and_begin_anew_after_a_success() -> None:
    rest = Rest(0)

    def rounds() -> int:
        return next(count for count in range(1_000) if rest.is_over())

    lengths = [rounds()]
    for in_vain in (True, True, True, False, True):
        rest.begin(in_vain=in_vain)
        lengths.append(rounds())
    assert lengths == [0, 2, 4, 8, 0, 2]
    for _ in range(20):
        rest.begin(in_vain=True)
    assert rounds() == Rest.LONGEST
