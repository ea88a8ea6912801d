"""When a retry run goes on to its next step, and when it pauses by itself."""

from __future__ import annotations

import pytest

from consumers.inbox.runs.judge import Step, next_step, slice_size, step_of, too_many_failed

RAMP = (1, 5, 50)


@pytest.mark.parametrize(("number", "size"), [(0, 1), (1, 5), (2, 50), (3, 50), (90, 50)])
def test_the_last_size_of_the_ramp_holds_for_all_further_steps(number: int, size: int) -> None:
    assert step_of(RAMP, number).size == size


@pytest.mark.parametrize(
    ("step", "above", "pauses"),
    [
        (Step(0, 1, 1, 1), 0.5, True),
        (Step(0, 1, 1, 0), 0.0, False),
        (Step(1, 4, 4, 2), 0.5, False),
        (Step(1, 4, 4, 3), 0.5, True),
        (Step(2, 100, 60, 51), 0.5, True),  # whatever the other 40 come to
        (Step(2, 100, 60, 50), 0.5, False),
        (Step(2, 100, 100, 100), 1.0, False),
        (Step(2, 100, 1, 1), 0.0, True),
    ],
)
def test_a_step_is_judged_as_soon_as_it_is_certain(step: Step, above: float, pauses: bool) -> None:
    assert bool(too_many_failed(step, above, {"bad": 1})) is pauses


def test_the_reason_names_the_commonest_failure() -> None:
    assert too_many_failed(Step(1, 5, 5, 4), 0.5, {"rare": 1, "often": 3}) == (
        "4 of 5 records failed again in a step of 5, more than 50%; most often: often"
    )


def test_a_run_goes_on_to_the_next_step_when_one_is_complete() -> None:
    assert next_step(RAMP, Step(0, 1, 1)) == Step(1, 5)
    assert next_step(RAMP, Step(1, 5, 4, 1)) == Step(1, 5, 4, 1)


@pytest.mark.parametrize(("rate", "size"), [(0, 40), (0.2, 1), (7, 7), (1000, 40)])
def test_a_slice_has_no_more_than_a_second_of_the_rate_nor_than_the_step_has_room_for(rate: float, size: int) -> None:
    assert slice_size(Step(2, 50, 10), rate) == size
