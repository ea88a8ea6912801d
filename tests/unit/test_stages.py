"""Seconds by stage."""

from __future__ import annotations

import pytest

from consumers import stages
from consumers.stages import Stages


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(stages, "monotonic", made)
    return made


def test_a_wait_counts_while_it_lasts_and_not_all_at_once_when_it_ends(clock: Clock) -> None:
    spent = Stages()
    with spent.spend("wait"), spent.spend("wait"):
        clock.now += 60
        assert spent.rounded()["wait"] == 120
        clock.now += 60
        assert spent.rounded()["wait"] == 240
    clock.now += 60
    assert spent.rounded()["wait"] == 240


def test_a_block_that_raises_is_counted_and_told_of_once(clock: Clock) -> None:
    told: list[tuple[str, float]] = []
    spent = Stages()
    spent.on_spent = lambda name, seconds: told.append((name, seconds))

    def write() -> None:
        with spent.spend("write"):
            clock.now += 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    clock.now += 5
    assert spent.rounded()["write"] == 2
    assert told == [("write", 2)]
