"""Thousands of schedules of a group, and whether each record ends exactly once in all of them.

A thousand take some twenty seconds of one processor; `SCHEDULES=20000 pytest tests/simulation` looks further. A failure
prints its schedule, shrunk to what matters.
"""

from __future__ import annotations

import logging
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.machine import GroupMachine
from tests.simulation.member import Member
from tests.simulation.sabotage import SABOTAGES, Sabotage
from tests.simulation.world import World

SCHEDULES = int(os.environ.get("SCHEDULES", "1000"))
STEPS = 30

thorough = settings(
    max_examples=SCHEDULES,
    stateful_step_count=STEPS,
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
until_noticed = settings(thorough, max_examples=1000, phases=[Phase.generate], report_multiple_bugs=False)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What members say to their logs in thousands of schedules is read by nobody."""
    logger = logging.getLogger("consumers")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


@contextmanager
def a_world() -> Iterator[World]:
    world = World()
    try:
        yield world
    finally:
        world.close()


@pytest.mark.timeout(60 + SCHEDULES / 2)
def test_each_record_is_settled_exactly_once_in_every_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the schedules come to what they are for: invariants hold easily where nothing happens."""
    seen: Counter[str] = Counter()
    note = World.note

    def count(self: World, member: Member, what: str, about: object) -> None:
        seen[what] += 1
        note(self, member, what, about)

    monkeypatch.setattr(World, "note", count)
    run_state_machine_as_test(GroupMachine, settings=thorough)
    for what in ("frozen", "woken", "killed", "revoked", "lost", "fenced", "was settled", "waits for a lock"):
        assert seen[what] >= SCHEDULES / 100, f"{what} came {seen[what]} times only"


@pytest.mark.parametrize("sabotage", SABOTAGES.values(), ids=SABOTAGES.keys())
def test_the_simulation_notices(sabotage: Sabotage, monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(GroupMachine, settings=until_noticed)


def story(world: World) -> list[tuple[str, ...]]:
    """A schedule with something of everything, and what it led to."""
    one, two, three = (world.start_member() for _ in range(3))
    for source in world.sources:
        world.group.take_over(source, one)
        for kind in ("good", "repeat", "garbage", "good", "tombstone", "orphan", "good"):
            world.produce(source, kind)
    world.pass_time(0.007)
    world.group.hand_over(world.sources[0], two)
    one.stops["before commit"] = one.freeze
    world.pass_time(1.0)
    world.database.go_down()
    world.group.take_over(world.sources[1], three)
    world.pass_time(2.0)
    world.database.is_down = False
    two.stops["after commit"] = two.kill
    world.pass_time(3.0)
    one.wake()
    world.check()
    world.come_to_rest()
    return [tuple(map(str, line)) for line in world.trace]


def test_a_schedule_that_is_run_again_goes_the_same_way() -> None:
    traces = []
    for _ in range(2):
        random.seed(7)  # of the jitter of pauses
        with a_world() as world:
            traces.append(story(world))
    assert len(traces[0]) > 100
    assert traces[0] == traces[1]
