"""When failures are a flood, and when they are only failures."""

from __future__ import annotations

import pytest

from consumers.core.errors import Flood, Misconfigured
from consumers.core.flood import FloodGuard, FloodPolicies, FloodPolicy
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
        ([(50, 0), (51, 49)], (0, 10), True),  # the oldest leave the window, however large the latest chunk is
    ],
)
def test_a_chunk_is_judged_with_what_came_before(
    before: list[tuple[int, int]], now: tuple[int, int], flood: bool
) -> None:
    guard = FloodGuard(FloodPolicies(POLICY))
    for good, bad in before:
        guard.remember(chunk(good, bad))
    if flood:
        with pytest.raises(Flood):
            guard.judge(chunk(*now))
    else:
        guard.judge(chunk(*now))


def test_topics_are_judged_apart() -> None:
    guard = FloodGuard(FloodPolicies(POLICY))
    guard.remember(chunk(0, 59, "a"))
    guard.judge(chunk(0, 59, "b"))
    with pytest.raises(Flood, match="on a;"):
        guard.judge(chunk(0, 1, "a"))


def test_a_topic_may_have_a_policy_of_its_own() -> None:
    guard = FloodGuard(FloodPolicies(POLICY, {"b": FloodPolicy(run=3), "c": FloodPolicy(enabled=False)}))
    guard.judge(chunk(0, 59, "a"))
    guard.judge(chunk(0, 500, "c"))
    with pytest.raises(Flood, match="3 records in a row failed on b;"):
        guard.judge(chunk(0, 3, "b"))


def producers(bad_share: float, chunks: int) -> FloodGuard:
    """The default policy after chunks of a thousand records, of which one of several producers sends this share, all
    of it bad and in a row."""
    guard = FloodGuard(FloodPolicies(FloodPolicy()))
    bad = round(1_000 * bad_share)
    for _ in range(chunks):
        guard.judge(chunk(1_000 - bad, bad))
        guard.remember(chunk(1_000 - bad, bad))
    return guard


@pytest.mark.parametrize("share", [0.01, 0.1, 0.33])
def test_by_default_one_bad_producer_of_several_is_no_flood(share: float) -> None:
    producers(share, chunks=200)


def test_by_default_a_bad_deploy_upstream_is_a_flood_within_a_few_chunks() -> None:
    guard = producers(0.0, chunks=50)
    guard.judge(chunk(0, 1_000))
    guard.remember(chunk(0, 1_000))
    with pytest.raises(Flood, match="2000 records in a row failed"):
        guard.judge(chunk(0, 1_000))


def test_by_default_a_deploy_that_breaks_most_of_what_is_sent_is_a_flood() -> None:
    with pytest.raises(Flood, match="of the last 4000 records failed"):
        producers(0.6, chunks=4)


def test_judging_again_after_an_outage_counts_nothing_twice() -> None:
    guard = FloodGuard(FloodPolicies(POLICY))
    for _ in range(10):
        guard.judge(chunk(0, 50))


def test_a_guard_that_is_off_lets_everything_pass() -> None:
    guard = FloodGuard(FloodPolicies(FloodPolicy(enabled=False, window=1, run=1)))
    guard.judge(chunk(0, 1000))
    guard.remember(chunk(0, 1000))
    guard.judge(chunk(0, 1000))


def test_the_message_names_topic_reason_example_and_the_way_out() -> None:
    outcomes = chunk(0, 60)
    outcomes.failures += chunk(0, 3, reason="unknown_campaign").failures
    with pytest.raises(Flood) as caught:
        FloodGuard(FloodPolicies(POLICY)).judge(outcomes)
    for part in (
        "63 records in a row failed on a",
        "invalid (60 of 63)",
        "a[0]@0: no invalid",
        "CONSUMERS_FLOOD_GUARD=off",
    ):
        assert part in str(caught.value)


def test_the_message_shows_the_failures_of_its_topic_and_an_example_of_the_commonest_reason() -> None:
    outcomes = chunk(0, 50, "b", reason="unsigned")
    for bad, reason in ((2, "expired"), (60, "invalid"), (9, "unknown_campaign")):
        outcomes.failures += chunk(0, bad, reason=reason).failures
    with pytest.raises(Flood, match=r"71 records in a row failed on a;.* invalid \(60 of 71\).* a\[0\]@0: no invalid"):
        FloodGuard(FloodPolicies(POLICY)).judge(outcomes)


def test_with_a_ratio_of_one_only_a_window_of_nothing_but_failures_is_a_flood() -> None:
    guard = FloodGuard(FloodPolicies(FloodPolicy(window=100, ratio=1, run=1_000)))
    guard.judge(chunk(1, 199))
    with pytest.raises(Flood, match="100 of the last 100 records failed"):
        guard.judge(chunk(0, 100))


@pytest.mark.parametrize("bad", [{"ratio": 0}, {"ratio": 1.5}, {"window": 0}, {"run": 0}])
def test_an_impossible_policy_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(Misconfigured, match=next(iter(bad))):
        FloodPolicy(**bad)  # type: ignore[arg-type]
