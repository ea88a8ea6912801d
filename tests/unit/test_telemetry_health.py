"""/livez and /readyz: what is thought of a process, by its progress."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from consumers.telemetry.health import Bounds, Verdict, Waiting, has_waiting, judge
from tests.snapshots import NOW, consumer, partition, process

BOUNDS = Bounds(not_ready_after=60, dead_after=300)
BEHIND = [partition(lag=500)]


def verdict(waited: float = 0.0, **changes: Any) -> Verdict:
    return judge(process(consumer(**changes)), {"clicks": waited}, BOUNDS)


@pytest.mark.parametrize(
    ("why", "waited", "changes", "alive", "ready"),
    [
        ("idle for hours, nothing waits", 0, {"settled_age": 9000.0}, True, True),
        ("never settled anything, nothing waits", 0, {"settled_age": None}, True, True),
        ("holds no partition, as a spare member does", 0, {"partitions": [], "settled_age": None}, True, True),
        ("far behind, and settling", 9000, {"settled_age": 2.0, "partitions": BEHIND}, True, True),
        (
            "the first records after hours came just now",
            1,
            {"settled_age": 9000.0, "partitions": BEHIND},
            True,
            True,
        ),
        (
            "polls and settles nothing while records wait",
            61,
            {"settled_age": 9000.0, "partitions": BEHIND},
            True,
            False,
        ),
        ("the same with records that were read already", 61, {"settled_age": 9000.0, "waiting": 5}, True, False),
        ("the same with a chunk in flight", 61, {"settled_age": 9000.0, "in_flight": 5}, True, False),
        ("past the bound", 301, {"settled_age": 9000.0, "partitions": BEHIND}, False, False),
        ("past the bound, and never settled anything", 301, {"settled_age": None, "partitions": BEHIND}, False, False),
        ("an outage explains it", 9000, {"settled_age": 9000.0, "in_flight": 5, "holding": "no route"}, True, False),
        ("the broker is away, nothing waits", 0, {"broker": "refused"}, True, False),
        (
            "the broker is away, and records wait",
            9000,
            {"settled_age": 9000.0, "partitions": BEHIND, "broker": "refused"},
            True,
            False,
        ),
        ("does not poll", 0, {"polled_age": 61.0}, True, False),
        ("does not poll, past the bound", 0, {"polled_age": 301.0}, False, False),
        ("drains", 0, {"state": "draining"}, True, False),
        ("drains, and takes long", 9000, {"state": "draining", "settled_age": 9000.0, "in_flight": 5}, True, False),
        ("has stopped", 0, {"state": "stopped"}, True, False),
    ],
)
def test_a_process_is_judged_by_its_progress(
    why: str, waited: float, changes: dict[str, Any], alive: bool, ready: bool
) -> None:
    found = verdict(waited, **changes)
    assert (found.alive, found.ready) == (alive, ready), why
    assert bool(found.faults) is not ready


def test_an_operators_pause_is_not_ready_and_alive() -> None:
    paused = partition(lag=10_000, operator_paused=True)
    found = verdict(9000, settled_age=9000.0, partitions=[paused])
    assert (found.alive, found.ready) == (True, False)
    assert found.faults == ("clicks is paused by an operator",)


def test_a_broker_that_is_away_is_named() -> None:
    found = verdict(9000, settled_age=9000.0, partitions=BEHIND, broker="broker-1:9092 refuses connections")
    assert found.faults == ("clicks does not reach the broker: broker-1:9092 refuses connections",)


def test_one_paused_partition_of_two_changes_nothing() -> None:
    assert verdict(9000, settled_age=9000.0, partitions=[partition(lag=9, operator_paused=True), partition(1)]).ready


def test_the_worst_consumer_of_a_process_decides() -> None:
    well, ill = consumer(name="well"), consumer(name="ill", settled_age=9000.0, in_flight=1)
    found = judge(process(well, ill), {"ill": 400.0}, BOUNDS)
    assert (found.alive, found.ready) == (False, False)
    assert found.faults == ("ill has settled nothing for 400 s while records wait",)


def test_a_bound_of_zero_never_calls_a_process_dead() -> None:
    report = process(consumer(settled_age=9000.0, partitions=BEHIND))
    assert judge(report, {"clicks": 9000.0}, replace(BOUNDS, dead_after=0)).alive


def test_waiting_is_counted_from_when_records_were_first_seen_to_wait() -> None:
    waiting, behind, idle = Waiting(), consumer(partitions=BEHIND), consumer()
    assert waiting.follow(process(idle, at=NOW)) == {}
    assert waiting.follow(process(behind, at=NOW + 10)) == {"clicks": 0}
    assert waiting.follow(process(behind, at=NOW + 40)) == {"clicks": 30}
    assert waiting.follow(process(idle, at=NOW + 50)) == {}
    assert waiting.follow(process(behind, at=NOW + 60)) == {"clicks": 0}


def test_what_an_operator_has_paused_does_not_wait() -> None:
    assert not has_waiting(consumer(partitions=[partition(lag=5, operator_paused=True)]))
    assert not has_waiting(consumer(partitions=[partition(lag=None)]))
    assert has_waiting(consumer(partitions=[partition(lag=5, state="paused")]))
