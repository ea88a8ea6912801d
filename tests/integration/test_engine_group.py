"""Rebalances, goals and drains, with the group in the test's hand."""

from __future__ import annotations

from typing import ClassVar

import pytest

from consumers.concurrency import Event, sleep
from consumers.core.errors import Misconfigured
from consumers.core.policies import BatchPolicy
from consumers.core.records import Record
from consumers.core.source import Fetched, Polled
from consumers.engine.runner import RunOptions
from consumers.testing import MemoryLog, MemorySource
from tests.integration.engine import (
    P0,
    P1,
    P2,
    SMALL,
    Harness,
    consume,
    counts,
    ledger,
    log_of,
    run_consumer,
    wait_until,
)
from tests.makers import order
from tests.orders import TOPIC, Order, OrderConsumer, OrderEvent

pytestmark = pytest.mark.django_db


class Small(OrderConsumer):
    batch = SMALL


class Gated(OrderConsumer):
    """Each chunk waits in `process` until the gate is open."""

    batch = SMALL
    gate = Event()
    waiting = 0

    def process(self, event: OrderEvent, context: object) -> Order:
        Gated.waiting += 1
        Gated.gate.wait()
        return Order(number=event.number)


@pytest.fixture
def gate() -> Event:
    Gated.gate, Gated.waiting = Event(), 0
    return Gated.gate


def log_with(count: int, partitions: int = 1) -> MemoryLog:
    log = log_of(partitions=partitions)
    for number in range(count):
        log.append(TOPIC, order(), partition=number % partitions)
    return log


# ---- goals ----------------------------------------------------------------------------------------------------------


def test_a_run_until_the_end_settles_what_was_there_at_its_start() -> None:
    assert counts(run_consumer(Small, log_with(7, partitions=3))) == {"written": 7}
    assert [ledger(partition=n)["next_offset"] for n in range(3)] == [3, 2, 2]


def test_a_run_until_the_end_of_an_empty_log_ends_at_once() -> None:
    assert counts(run_consumer(Small, log_of(partitions=3))) == {}


def test_a_run_until_the_end_waits_for_partitions_that_another_member_settles() -> None:
    log = log_with(4, partitions=2)
    mine = Harness(Small, log, options=RunOptions(until_end=True), assign_all=False)
    other = Harness(Small, log, assign_all=False)
    mine.source.assign(P0)
    with other.running(), mine.running():
        wait_until(lambda: mine.settled(P0) == 2)
        other.source.assign(P1)
        wait_until(lambda: mine.source.is_closed)
    assert mine.counts() == other.counts() == {"written": 2}


@pytest.mark.parametrize("most", [1, 3, 4, 6])
def test_a_run_of_so_many_records_settles_exactly_these(most: int) -> None:
    result = run_consumer(Small, log_with(10), options=RunOptions(max_records=most))
    assert result.tally.received == most
    assert ledger() == {"next_offset": most, "received": most, "written": most}


def test_a_run_of_more_records_than_there_are_ends_at_the_end() -> None:
    result = run_consumer(Small, log_with(3), options=RunOptions(max_records=50, until_end=True))
    assert result.tally.received == 3


def test_a_run_of_so_many_records_takes_them_from_any_partition() -> None:
    result = run_consumer(Small, log_with(20, partitions=4), options=RunOptions(max_records=7))
    assert result.tally.received == 7
    assert sum(ledger(partition=n).get("received", 0) for n in range(4)) == 7


def test_the_size_of_a_chunk_can_be_told() -> None:
    result = run_consumer(OrderConsumer, log_with(10), options=RunOptions(chunk_size=4, until_end=True))
    assert (result.chunks, result.tally.written) == (3, 10)


def test_a_missing_topic_is_named() -> None:
    class Elsewhere(OrderConsumer):
        topics = ["nowhere"]  # noqa: RUF012

    with pytest.raises(Misconfigured, match="nowhere"):
        run_consumer(Elsewhere, log_of())


# ---- drains ---------------------------------------------------------------------------------------------------------


def test_a_stop_settles_what_is_in_flight_and_begins_nothing_new(gate: Event) -> None:
    harness = Harness(Gated, log_with(50))
    with harness.running() as runner:
        wait_until(lambda: Gated.waiting == 2)
        assert runner.stop()
        assert not runner.stop()
        for _ in range(5):
            sleep(0)
        gate.set()
    settled = ledger()["next_offset"]
    assert 2 <= settled < 50
    assert Order.objects.count() == settled == ledger()["received"]
    assert harness.log.committed["orders", P0] == (settled, "ours")
    assert harness.source.is_closed


def test_a_stop_before_the_start_ends_at_once() -> None:
    harness = Harness(Small, log_with(5))
    harness.runner.stop()
    harness.runner.run()
    assert harness.counts() == {}
    assert harness.source.is_closed


def test_an_idle_consumer_stops_at_once() -> None:
    harness = Harness(Small, log_of())
    with harness.running():
        wait_until(lambda: harness.settled() == 0)
    assert harness.source.is_closed


def test_records_are_settled_as_they_come_without_waiting_for_a_full_chunk() -> None:
    harness = Harness(OrderConsumer, log_of())
    with harness.running():
        for number in range(1, 4):
            harness.log.append(TOPIC, order())
            wait_until(lambda number=number: harness.settled() == number)
    assert harness.counts() == {"written": 3}


# ---- rebalances -----------------------------------------------------------------------------------------------------


def test_a_revoke_settles_and_commits_what_is_in_flight(gate: Event) -> None:
    harness = Harness(Gated, log_with(50))
    with harness.running():
        wait_until(lambda: Gated.waiting == 2)
        harness.source.revoke(P0)
        for _ in range(5):
            sleep(0)
        gate.set()
        wait_until(lambda: len(harness.runner.partitions) == 0)
        settled = ledger()["next_offset"]
        assert harness.log.committed["orders", P0] == (settled, "ours")
    assert 2 <= settled < 50
    assert Order.objects.count() == settled


def test_a_revoke_of_one_partition_leaves_the_other_at_work() -> None:
    log = log_with(20, partitions=2)
    harness = Harness(Small, log)
    with harness.running():
        wait_until(lambda: harness.settled(P0) == harness.settled(P1) == 10)
        harness.source.revoke(P0)
        wait_until(lambda: harness.runner.partitions.get(P0) is None)
        log.append(TOPIC, order(), partition=0)
        log.append(TOPIC, order(), partition=1)
        wait_until(lambda: harness.settled(P1) == 11)
    assert [ledger(partition=n)["next_offset"] for n in (0, 1)] == [10, 11]


def test_a_revoke_that_takes_too_long_gives_the_chunk_up(gate: Event, caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness(Gated, log_with(2), revoke_timeout=0.05)
    with harness.running():
        wait_until(lambda: Gated.waiting == 2)
        harness.source.revoke(P0)
        wait_until(lambda: len(harness.runner.partitions) == 0)
        gate.set()
    assert "gives up" in caplog.text
    assert not Order.objects.exists()
    assert ledger() == {}


def test_a_lost_partition_is_dropped_with_what_is_in_flight(gate: Event) -> None:
    harness = Harness(Gated, log_with(6))
    with harness.running():
        wait_until(lambda: Gated.waiting == 2)
        harness.source.lose(P0)
        wait_until(lambda: len(harness.runner.partitions) == 0)
        gate.set()
        wait_until(lambda: not any(lane.waiting for lane in harness.runner._lanes))
    assert not Order.objects.exists()
    assert ("orders", P0) not in harness.log.committed


def test_a_partition_that_comes_back_goes_on_from_the_ledger(gate: Event) -> None:
    harness = Harness(Gated, log_with(6))
    with harness.running():
        wait_until(lambda: Gated.waiting == 2)
        harness.source.lose(P0)
        harness.source.assign(P0)
        gate.set()
        wait_until(lambda: harness.settled() == 6)
    assert harness.counts() == {"written": 6}
    assert ledger() == {"next_offset": 6, "received": 6, "written": 6}


def test_a_partition_that_moves_to_another_member_goes_on_there() -> None:
    log = log_with(10)
    one, two = Harness(Small, log), Harness(Small, log, assign_all=False)
    with one.running(), two.running():
        wait_until(lambda: one.settled() >= 2)
        one.source.revoke(P0)
        wait_until(lambda: len(one.runner.partitions) == 0)
        two.source.assign(P0)
        wait_until(lambda: two.settled() == 10)
    assert one.runner.statistics.tally.written + two.runner.statistics.tally.written == 10
    assert ledger() == {"next_offset": 10, "received": 10, "written": 10}


def test_two_members_that_both_believe_to_hold_a_partition_write_each_record_once() -> None:
    log = log_with(30)
    one, two = Harness(Small, log), Harness(Small, log)
    with one.running(), two.running():
        wait_until(lambda: max(one.settled(), two.settled()) == 30)
    assert Order.objects.count() == 30
    assert ledger() == {"next_offset": 30, "received": 30, "written": 30}


def test_a_revoke_during_the_claim_leaves_the_partition_to_the_next_member() -> None:
    harness = Harness(Small, log_with(4), assign_all=False)
    with harness.running():
        harness.source.assign(P0)
        harness.source.revoke(P0)
        harness.source.assign(P0)
        wait_until(lambda: harness.settled() == 4)
    assert harness.counts() == {"written": 4}


class Repeating(MemorySource):
    """Hands out each record twice, and with them what is left of an earlier position."""

    def poll(self, max_records: int, max_bytes: int, timeout: float) -> Polled:
        polled = super().poll(max_records, max_bytes, timeout)
        for source, generation, records in list(polled.fetched):
            stale = Record(source, records[-1].offset + 1, order("stale"))
            polled.fetched += [Fetched(source, generation, records), Fetched(source, generation - 1, [stale])]
        for source, (generation, end) in polled.ends.items():
            polled.ends[source] = (generation - 1, end + 100)
        return polled


def test_records_that_were_taken_in_before_and_leftovers_of_an_earlier_position_are_dropped() -> None:
    harness = Harness(Small, log_with(9))
    harness.source.__class__ = Repeating
    with harness.running():
        wait_until(lambda: harness.settled() >= 9)
    assert harness.counts() == {"written": 9}
    assert ledger() == {"next_offset": 9, "received": 9, "written": 9}
    assert not Order.objects.filter(number="stale").exists()


# ---- bounds ---------------------------------------------------------------------------------------------------------


def test_what_waits_is_bounded_in_records(gate: Event) -> None:
    class Bounded(Gated):
        batch = BatchPolicy(max_wait=0, max_records=5, chunk_records=2)

    harness = Harness(Bounded, log_with(100), lanes=1)
    with harness.running():
        wait_until(lambda: all(p.paused for p in harness.runner.partitions) and len(harness.runner.partitions) > 0)
        assert sum(lane.waiting for lane in harness.runner._lanes) <= 2 * 5 + 2 * 2
        gate.set()
        wait_until(lambda: harness.settled() == 100)
    assert harness.counts() == {"written": 100}


def test_what_waits_is_bounded_in_bytes(gate: Event) -> None:
    class Bounded(Gated):
        batch = BatchPolicy(max_wait=0, max_bytes=1_000, chunk_bytes=300)

    log = log_of(*(order(ignored="x" * 100) for _ in range(60)))
    harness = Harness(Bounded, log, lanes=1)
    with harness.running():
        wait_until(lambda: all(p.paused for p in harness.runner.partitions) and len(harness.runner.partitions) > 0)
        assert sum(lane.backlog.size for lane in harness.runner._lanes) <= 2_000
        gate.set()
        wait_until(lambda: harness.settled() == 60)


def test_a_partition_is_written_in_order_and_partitions_side_by_side() -> None:
    class Notes(OrderConsumer):
        batch = BatchPolicy(max_wait=0, chunk_records=3)
        given: list[str] = []  # noqa: RUF012

        def on_written(self, rows: object) -> None:
            Notes.given += [row.number for row in rows]  # type: ignore[attr-defined]

    log = log_of(partitions=2)
    for number in range(30):
        for partition in (0, 1):
            log.append(TOPIC, order(f"{partition}-{number:02}"), partition=partition)
    run_consumer(Notes, log)
    for partition in ("0", "1"):
        mine = [number for number in Notes.given if number[0] == partition]
        assert mine == sorted(mine)
    assert len(Notes.given) == 60


def test_a_handler_that_waits_holds_no_connection(gate: Event) -> None:
    """Only so many lanes as there are permits may ask the database, but all of them may wait for a service."""
    harness = Harness(Gated, log_with(4, partitions=4), lanes=4, database_permits=1)
    with harness.running():
        wait_until(lambda: Gated.waiting == 4)
        assert harness.runner._holder._permits.held == 0
        gate.set()
        wait_until(lambda: sum(harness.counts().values()) == 4)


class Uneven(Gated):
    """Remembers which orders were processed while which lanes were held up."""

    given: ClassVar[list[str]] = []

    def process(self, event: OrderEvent, context: object) -> Order:
        if event.number.startswith("0"):
            Gated.waiting += 1
            Gated.gate.wait()
        Uneven.given.append(event.number)
        return Order(number=event.number)


def test_a_lane_without_work_takes_over_a_partition_of_one_that_is_behind(gate: Event) -> None:
    log = log_of(partitions=3)  # 0 and 2 go to the first lane
    for number in range(20):
        for partition in (0, 2):
            log.append(TOPIC, order(f"{partition}-{number:02}"), partition=partition)
    Uneven.given = []
    harness = Harness(Uneven, log, lanes=2)
    with harness.running():
        wait_until(lambda: {p.lane for p in harness.runner.partitions if p.source.partition != 1} == {0, 1})
        wait_until(lambda: Gated.waiting > 0)  # with chunks of the first lane, which the second must not overtake
        gate.set()
        wait_until(lambda: harness.settled(P0) == harness.settled(P2) == 20)
    for partition in ("0", "2"):
        mine = [number for number in Uneven.given if number[0] == partition]
        assert mine == sorted(mine)
    assert (harness.runner.statistics.fenced, harness.counts()) == (0, {"written": 40})


def test_a_record_larger_than_a_batch_comes_through() -> None:
    class Bounded(OrderConsumer):
        batch = BatchPolicy(max_bytes=100, chunk_bytes=50)

    assert counts(consume(Bounded, order(ignored="x" * 10_000), order())) == {"written": 2}
