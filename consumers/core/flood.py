"""The flood guard: too much is bad to be true, so stop before a million good events become a million failures."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

from consumers.core.errors import Flood, Misconfigured
from consumers.core.outcomes import Outcomes
from consumers.core.records import by_source


@dataclass(frozen=True, kw_only=True)
class FloodPolicy:
    """When failures of one topic are a flood."""

    enabled: bool = True
    window: int = 4_000
    """Records looked back over; the ratio is judged once as many have been seen."""
    ratio: float = 0.5
    """The share of failed records in the window that is a flood."""
    run: int = 2_000
    """So many failed records in a row are a flood whatever the ratio."""

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise Misconfigured(f"FloodPolicy.ratio must be above 0 and at most 1, not {self.ratio}")
        if self.window < 1 or self.run < 1:
            raise Misconfigured("FloodPolicy.window and .run must be at least 1")


@dataclass(frozen=True)
class FloodPolicies:
    """A policy for every topic."""

    default: FloodPolicy
    by_topic: Mapping[str, FloodPolicy] = field(default_factory=dict)

    def of(self, topic: str) -> FloodPolicy:
        return self.by_topic.get(topic, self.default)


@dataclass
class _Window:
    """(records, failed) of the latest chunks, and the failures in a row at the end."""

    chunks: deque[tuple[int, int]] = field(default_factory=deque)
    run: int = 0


class FloodGuard:
    """Judges chunks before they are settled and remembers those that were. One guard serves one consumer."""

    def __init__(self, policies: FloodPolicies) -> None:
        self._policies = policies
        self._windows: dict[str, _Window] = {}

    def judge(self, outcomes: Outcomes) -> None:
        """Check a chunk that is about to be settled.

        Raises:
            Flood: too many of a topic's records fail; the message shows the commonest reason with an example.
        """
        if not outcomes.failures:
            return
        received = _received_by_topic(outcomes)
        for topic, failed in _failed_by_topic(outcomes).items():
            if self._policies.of(topic).enabled:
                self._judge_topic(topic, received[topic], failed, outcomes)

    def remember(self, outcomes: Outcomes) -> None:
        """Take a settled chunk into account."""
        failed = _failed_by_topic(outcomes)
        for topic, received in _received_by_topic(outcomes).items():
            policy, window = self._policies.of(topic), self._windows.setdefault(topic, _Window())
            window.chunks.append((received, failed[topic]))
            window.run = window.run + received if failed[topic] == received else 0
            while sum(n for n, _ in window.chunks) - window.chunks[0][0] >= policy.window:
                window.chunks.popleft()

    def _judge_topic(self, topic: str, received: int, failed: int, outcomes: Outcomes) -> None:
        policy, window = self._policies.of(topic), self._windows.get(topic, _Window())
        seen = received + sum(n for n, _ in window.chunks)
        bad = failed + sum(f for _, f in window.chunks)
        run = window.run + received if failed == received else 0
        if run >= policy.run:
            raise Flood(_message(topic, f"{run} records in a row failed", outcomes))
        if seen >= policy.window and bad / seen >= policy.ratio:
            raise Flood(_message(topic, f"{bad} of the last {seen} records failed", outcomes))


def _failed_by_topic(outcomes: Outcomes) -> Counter[str]:
    return Counter(failure.record.topic for failure in outcomes.failures)


def _received_by_topic(outcomes: Outcomes) -> Counter[str]:
    received = _failed_by_topic(outcomes)
    good = chain(outcomes.written, outcomes.duplicates, outcomes.skipped)
    for source, count in by_source(good).items():
        received[source.topic] += count
    return received


def _message(topic: str, what: str, outcomes: Outcomes) -> str:
    failures = [failure for failure in outcomes.failures if failure.record.topic == topic]
    reason, count = Counter(failure.reason for failure in failures).most_common(1)[0]
    example = next(failure for failure in failures if failure.reason == reason)
    return (
        f"flood guard: {what} on {topic}; nothing of this chunk is settled. Commonest reason: {reason} ({count} of "
        f"{len(failures)}), for example {example.record}: {example.message[:200]}. Mend what sends them, or "
        f"store them all as failed with CONSUMERS_FLOOD_GUARD=off (this topic alone: CONSUMERS_FLOOD_TOPICS)."
    )
