"""What is measured of a consumer's writing, and what is put into force and said because of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from consumers.concurrency import Clock, Scope, sleep, use_clock
from consumers.core.limiter import Signals
from consumers.core.policies import BatchPolicy
from consumers.engine.health import Health, Pace
from consumers.engine.signals import CpuPressure, pool_wait
from consumers.settings import EngineSettings

BATCH = BatchPolicy(chunk_records=1_000)
SETTINGS = EngineSettings(database_permits=8, min_writers=1)


class Hand(Clock):
    """A clock that a test moves by hand."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Iterator[Hand]:
    hand = Hand()
    with use_clock(hand):
        yield hand


def write(pace: Pace, clock: Hand, seconds: float, chunks: int = 1, *, rows: int = 1_000, more: bool = True) -> None:
    for _ in range(chunks):
        with pace.health.gate, pace.writing(rows, more=more):
            clock.now += seconds


def pace_of(health: Health, settings: EngineSettings = SETTINGS, name: str = "clicks") -> Pace:
    return Pace(name, BATCH, settings, health)


def test_slow_chunks_become_smaller_and_it_is_said_once(clock: Hand, caplog: pytest.LogCaptureFixture) -> None:
    pace = pace_of(Health(SETTINGS))
    with caplog.at_level(logging.INFO, "consumers"):
        write(pace, clock, 1.0, 5)
    assert pace.batch == replace(BATCH, chunk_records=500)
    said = "clicks: records in a chunk 1000 to 500: 1000 records take 1000 ms to write"
    assert caplog.messages == [said]
    assert pace.health.last_move == said


def test_writing_that_turns_slow_lowers_the_gate(clock: Hand) -> None:
    health = Health(SETTINGS)
    pace = pace_of(health)
    write(pace, clock, 0.02, 8)
    assert health.gate.limit == 2
    write(pace, clock, 0.05, 8)
    assert health.gate.limit == 1
    assert health.last_move == "writers at once 2 to 1: a row takes 2.5 times as long to write as before"


def test_chunks_that_are_written_at_the_same_time_say_it_once(clock: Hand) -> None:
    pace = pace_of(Health(SETTINGS))
    for _ in range(4):
        with ExitStack() as together:
            for _ in range(8):
                together.enter_context(pace.writing(1_000, more=True))
            clock.now += 1.0
    assert pace.batch == BATCH
    write(pace, clock, 1.0)
    assert pace.batch.chunk_records == 500


def test_chunks_begun_beside_more_writers_say_nothing_of_their_size(clock: Hand) -> None:
    health = Health(SETTINGS)
    pace = pace_of(health)
    health.fix(8)
    for _ in range(20):
        with health.gate, pace.writing(1_000, more=True):
            health.fix(8)
            clock.now += 0.1
            health.fix(None)
            clock.now += 0.9
    assert pace.batch == BATCH
    write(pace, clock, 1.0, 5)
    assert pace.batch.chunk_records == 500


def test_a_trial_is_said_when_it_begins_and_when_it_ends(clock: Hand, caplog: pytest.LogCaptureFixture) -> None:
    health = Health(SETTINGS, look=lambda: None)
    limits = []
    with caplog.at_level(logging.INFO, "consumers"):
        while len(caplog.messages) < 2:
            limits.append(health.gate.limit)
            rate = 1.12 if limits[-1] == 2 else 1.0  # just worth it, which takes turns to tell
            clock.now += 0.1 / rate
            health.wrote(1.0, 0.1 / rate * limits[-1])
    assert sum(before != later for before, later in pairwise(limits)) > 2
    assert caplog.messages == [
        "writers at once 2 to 1: trying whether fewer do as well",
        "writers at once 1 to 2: 2 writers bring +12% over 1",
    ]


def test_chunks_that_waited_for_a_lock_are_not_made_smaller(clock: Hand) -> None:
    looks = iter([Signals(ours=2, blocked=2), Signals(ours=2)])
    health = Health(SETTINGS, look=lambda: next(looks))
    pace = pace_of(health)
    write(pace, clock, 0.2)
    with Scope() as scope:
        scope.spawn(health.watch, 0.004)
        while not health.is_troubled:
            write(pace, clock, 0.0)
            sleep(0.002)
        write(pace, clock, 9.0, 5)
        assert pace.batch == BATCH
        scope.cancel()


def test_an_idle_consumer_moves_nothing(clock: Hand) -> None:
    pace = pace_of(Health(SETTINGS))
    for seconds in (0.02, 5.0):
        write(pace, clock, seconds, 30, more=False)
    assert (pace.health.gate.limit, pace.batch, pace.health.last_move) == (2, BATCH, "")


def test_a_write_that_fails_is_no_sample(clock: Hand) -> None:
    pace = pace_of(Health(SETTINGS))
    for _ in range(30):
        with suppress(ConnectionError), pace.writing(1_000, more=True):
            clock.now += 100.0
            raise ConnectionError
    assert pace.batch == BATCH
    assert pace.health.writing == 0


def test_small_chunks_between_large_ones_do_not_look_like_a_slow_database(clock: Hand) -> None:
    pace = pace_of(Health(SETTINGS))
    for _ in range(60):
        write(pace, clock, 0.02)
        write(pace, clock, 0.02, rows=10)
    assert "as long to write" not in pace.health.last_move


def test_consumers_whose_rows_cost_differently_share_one_limit(clock: Hand) -> None:
    health = Health(SETTINGS)
    cheap, dear = pace_of(health), pace_of(health, name="payments")
    for _ in range(30):
        write(cheap, clock, 0.01)
    for _ in range(30):
        write(dear, clock, 0.15)
    assert "as long to write" not in health.last_move


@pytest.mark.parametrize(("permits", "limit"), [(1, 1), (2, 2), (8, 2)])
def test_there_are_never_more_writers_than_connections_for_them(permits: int, limit: int) -> None:
    assert Health(EngineSettings(database_permits=permits, min_writers=2)).gate.limit == limit


@pytest.mark.parametrize(("most", "limit"), [(0, 8), (3, 3), (20, 8)])
def test_switched_off_everything_is_fixed(clock: Hand, most: int, limit: int) -> None:
    settings = replace(SETTINGS, adaptive=False, max_writers=most)
    health = Health(settings, look=lambda: Signals(ours=1, blocked=1))
    pace = pace_of(health, settings)
    write(pace, clock, 0.02, 50)
    write(pace, clock, 9.0, 50)
    health.watch()  # ends at once: there is nothing to look for
    assert (health.gate.limit, pace.batch, health.last_move) == (limit, BATCH, "")


def test_a_limit_held_by_hand_stays_and_chunks_are_full_until_it_is_let_go(clock: Hand) -> None:
    pace = pace_of(Health(SETTINGS))
    write(pace, clock, 9.0, 5)
    assert pace.batch.chunk_records == 500
    pace.health.fix(7)
    write(pace, clock, 99.0, 50)
    assert (pace.health.gate.limit, pace.batch) == (7, BATCH)
    pace.health.fix(None)
    assert (pace.health.gate.limit, pace.batch.chunk_records) == (2, 500)


def watched(health: Health, task: Callable[[], None]) -> None:
    with Scope() as scope:
        scope.spawn(health.watch, 0.0)
        task()
        scope.cancel()


def test_a_look_outside_that_sees_locks_lowers_the_gate_while_somebody_writes() -> None:
    looks: list[Signals] = []

    def look() -> Signals:
        looks.append(Signals(ours=1, blocked=1))
        return looks[-1]

    health = Health(SETTINGS, look)
    pace = pace_of(health)

    def wait_for_the_lock() -> None:
        with pace.writing(1_000, more=True):
            while health.gate.limit > 1:
                sleep(0)

    watched(health, wait_for_the_lock)
    assert health.last_move == "writers at once 2 to 1: 1 of 1 active backends wait for locks"


def test_nobody_looks_outside_while_nothing_is_written() -> None:
    looks: list[int] = []
    health = Health(SETTINGS, lambda: looks.append(1))

    def idle() -> None:
        for _ in range(20):
            sleep(0)

    watched(health, idle)
    assert looks == []


def test_a_look_that_brings_nothing_moves_nothing() -> None:
    looks: list[int] = []
    health = Health(SETTINGS, lambda: looks.append(1))
    pace = pace_of(health)

    def write_meanwhile() -> None:
        with pace.writing(1_000, more=True):
            while len(looks) < 5:
                sleep(0)

    watched(health, write_meanwhile)
    assert (health.gate.limit, health.last_move) == (2, "")


@pytest.mark.parametrize(
    ("before", "now", "seconds"),
    [
        ((500, 10), (900, 12, 8, 8), 0.2),
        ((500, 10), (500, 10, 8, 8), 0.0),
        ((500, 10), (900, 12, 5, 8), 0.0),
    ],
    ids=["a full pool", "nobody asked", "a pool that may grow"],
)
def test_the_wait_for_a_connection_is_told_of_a_pool_that_cannot_grow(
    before: tuple[int, ...], now: tuple[int, ...], seconds: float
) -> None:
    names = ("requests_wait_ms", "requests_num", "pool_size", "pool_max")
    assert pool_wait(dict(zip(names, before, strict=False)), dict(zip(names, now, strict=False))) == seconds


def test_without_a_pool_nothing_is_waited_for() -> None:
    assert pool_wait({}, {}) == 0.0


@pytest.mark.parametrize(
    ("text", "pressure"),
    [
        ("some avg10=97.33 avg60=96.02 avg300=93.02 total=3819570615\nfull avg10=0.00 avg60=0.00\n", 97.33),
        ("", 0.0),
        ("some avg60=1.00\n", 0.0),
        ("some avg10=much avg60=1.00\n", 0.0),
    ],
)
def test_the_pressure_on_processors_is_read_as_the_kernel_writes_it(tmp_path: Path, text: str, pressure: float) -> None:
    source = tmp_path / "cpu"
    source.write_text(text)
    assert CpuPressure(source).read() == pressure


@pytest.mark.parametrize(
    ("later", "pressure"), [(2.0, 75.0), (1.0, 100.0), (0.9, 12.5), (6.0, 12.5)], ids=["", "all", "soon", "long ago"]
)
def test_the_pressure_is_that_since_the_last_look(tmp_path: Path, clock: Hand, later: float, pressure: float) -> None:
    source = tmp_path / "cpu"
    source.write_text("some avg10=3.00 avg60=0 avg300=0 total=1000000\n")
    processors = CpuPressure(source)
    assert processors.read() == 3.0
    clock.now += later
    source.write_text("some avg10=12.50 avg60=0 avg300=0 total=2500000\n")
    assert processors.read() == pressure


def test_where_the_system_does_not_tell_there_is_no_pressure(tmp_path: Path) -> None:
    assert CpuPressure(tmp_path / "missing").read() == 0.0
