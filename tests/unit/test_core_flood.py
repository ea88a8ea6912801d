"""When failures are a flood, and when they are only failures."""

from __future__ import annotations

import pytest

from consumers.core.errors import Flood, Misconfigured
from consumers.core.flood import FloodGuard, FloodPolicy
from consumers.core.outcomes import Failure, Outcomes
from consumers.core.records import Record, TopicPartition

POLICY = FloodPolicy(window=100, ratio=0.5, run=60)


def chunk(good: int, bad: int, topic: str = "a", reason: str = "invalid") -> Outcomes:
    source = TopicPartition(topic, 0)
    written = [Record(source, n, b"") for n in range(good)]
    failures = [
        Failure(record=Record(source, good + n, b""), reason=reason, message=f"no {reason}") for n in range(bad)
    ]
    return Outcomes(written=written, failures=failures)


@pytest.mark.parametrize(
    ("before", "now", "flood"),
    [
        ([], (0, 60), True),  # a run as long as allowed
        ([], (0, 59), False),
        ([], (1, 59), False),  # not a run, and too few seen to judge a ratio
        ([], (40, 60), True),  # the window is full and most of it bad
        ([], (51, 49), False),
        ([], (50, 50), True),
        ([(0, 30)], (0, 30), True),  # a run over two chunks
        ([(0, 30), (1, 0)], (0, 30), False),  # one good record breaks it
        ([(100, 0)], (0, 59), False),  # a good past counts
        ([(100, 0)] * 10, (0, 59), False),
        ([(1000, 0), (50, 50)], (40, 60), True),  # but not for ever
        ([(60, 40)], (60, 40), False),
    ],
)
def test_a_chunk_is_judged_with_what_came_before(
    before: list[tuple[int, int]], now: tuple[int, int], flood: bool
) -> None:
    guard = FloodGuard(POLICY)
    for good, bad in before:
        guard.remember(chunk(good, bad))
    if flood:
        with pytest.raises(Flood):
            guard.judge(chunk(*now))
    else:
        guard.judge(chunk(*now))


def test_topics_are_judged_apart() -> None:
    guard = FloodGuard(POLICY)
    guard.remember(chunk(0, 59, "a"))
    guard.judge(chunk(0, 59, "b"))
    with pytest.raises(Flood, match="on a;"):
        guard.judge(chunk(0, 1, "a"))


def test_judging_again_after_an_outage_counts_nothing_twice() -> None:
    guard = FloodGuard(POLICY)
    for _ in range(10):
        guard.judge(chunk(0, 50))


def test_a_guard_that_is_off_lets_everything_pass() -> None:
    guard = FloodGuard(FloodPolicy(enabled=False, window=1, run=1))
    guard.judge(chunk(0, 1000))
    guard.remember(chunk(0, 1000))
    guard.judge(chunk(0, 1000))


def test_the_message_names_topic_reason_example_and_the_way_out() -> None:
    outcomes = chunk(0, 60)
    outcomes.failures += chunk(0, 3, reason="unknown_campaign").failures
    with pytest.raises(Flood) as caught:
        FloodGuard(POLICY).judge(outcomes)
    for part in (
        "63 records in a row failed on a",
        "invalid (60 of 63)",
        "a[0]@0: no invalid",
        "CONSUMERS_FLOOD_GUARD=off",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("bad", [{"ratio": 0}, {"ratio": 1.5}, {"window": 0}, {"run": 0}])
def test_an_impossible_policy_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(Misconfigured, match=next(iter(bad))):
        FloodPolicy(**bad)  # type: ignore[arg-type]
