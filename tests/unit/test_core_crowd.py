"""Others at work: when they count as there, and how many writers they leave room for."""

from __future__ import annotations

import pytest

from consumers.core.crowd import A_PROCESSOR, A_SHARED_ONE, Crowd


@pytest.mark.parametrize(
    ("cpu", "others", "is_felt", "most", "said"),
    [
        (0.0, 0, False, None, None),
        (59.0, 0, False, None, None),
        (60.0, 0, True, 2 * A_PROCESSOR, "processors are short"),
        (0.0, 9, True, None, None),
        (60.0, 9, True, 2 * A_SHARED_ONE, "processors are short, and others use the database"),
    ],
)
def test_what_a_look_says(cpu: float, others: int, is_felt: bool, most: int | None, said: str | None) -> None:
    crowd = Crowd(2)
    assert crowd.saw(cpu, others) == is_felt
    assert (crowd.is_felt, crowd.most) == (is_felt, most)
    assert said is None or str(crowd) == said


def test_pressure_must_ease_before_it_counts_as_gone() -> None:
    crowd = Crowd(2)
    assert [crowd.saw(cpu, 0) for cpu in (61, 59, 31, 29, 31, 59, 60)] == [True, False, False, True, False, False, True]


def test_others_count_on_average() -> None:
    crowd = Crowd(2)
    assert not crowd.saw(0.0, 3)  # one look, as may be by chance
    changes = [crowd.saw(0.0, 3) for _ in range(9)]
    assert sum(changes) == 1
    assert crowd.is_felt
    assert not any(crowd.saw(0.0, others) for others in (1, 3) * 9)
    assert sum(crowd.saw(0.0, 0) for _ in range(9)) == 1
    assert not crowd.is_felt
