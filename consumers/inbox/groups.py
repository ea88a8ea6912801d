"""What state a group of failures is in, and how failures, their mending and people change it. Touches no table.

new ──▶ known                     somebody has seen it
  └──────┴──▶ resolved            nothing is pending any more, or somebody says so
                 ├──▶ regressed   it came back after that
                 └──▶ known       it came again, but it had only gone by itself: nobody has mended it
any ──▶ archived ──▶ regressed    nobody wants to hear of it, until what was agreed on happens
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from consumers.core.fingerprint import normalise
from consumers.models import FailureDelta, FailureGroup

Status = FailureGroup.Status

ITSELF = "automatic retries"
"""Who resolved a group whose last records went well when they were due again by themselves."""
MOST_PARTITIONS = 1_000
"""So many of a topic are remembered as places where a group was seen."""

OPEN = (Status.NEW, Status.KNOWN, Status.REGRESSED)
"""States in which something is to be done."""


@dataclass
class Change:
    """Deltas of one group added up."""

    first_at: datetime
    came: int = 0
    failed: int = 0
    pending: int = 0
    resolved: int = 0
    discarded: int = 0
    last_failed_at: datetime | None = None
    described_by: FailureDelta | None = None
    places: dict[str, set[int]] = field(default_factory=dict)
    by_itself: bool = False
    """What was resolved was not anybody's doing; see `ITSELF`."""

    def add(self, delta: FailureDelta) -> None:
        """Add a delta; they come in the order in which they were written."""
        for name in ("came", "failed", "pending", "resolved", "discarded"):
            setattr(self, name, getattr(self, name) + getattr(delta, name))
        self.first_at = min(self.first_at, delta.at)
        if delta.failed:
            self.last_failed_at = max(self.last_failed_at or delta.at, delta.at)
            self.described_by = delta
            for topic, partitions in delta.places.items():
                self.places.setdefault(topic, set()).update(partitions)


def apply(group: FailureGroup, change: Change, now: datetime, hourly: int = 0) -> str:
    """Take a change into a group, saved or not. `hourly` is how many have come within this hour.

    Returns the state it went into; empty if it stays in the one it was in, or only comes and goes by itself.
    """
    before, went_by_itself = group.status, group.resolved_by == ITSELF
    _count(group, change)
    _describe(group, change)
    if change.failed:
        _failed(group, change, hourly)
    if group.status in OPEN and not group.pending:
        resolve(group, by=ITSELF if change.by_itself else "", now=now)
    is_news = group.status != before and not went_by_itself and group.resolved_by != ITSELF
    return group.status if is_news else ""


def _count(group: FailureGroup, change: Change) -> None:
    group.count += change.came
    group.pending += change.pending
    group.resolved += change.resolved
    group.discarded += change.discarded
    group.first_seen = min(group.first_seen, change.first_at)
    if change.last_failed_at is not None:
        group.last_seen = max(group.last_seen, change.last_failed_at)


def _describe(group: FailureGroup, change: Change) -> None:
    if (delta := change.described_by) is None:
        return
    group.reason, group.exception, group.message = delta.reason, delta.exception, normalise(delta.message)
    group.example_id = delta.example_id
    group.places = _merged(group.places, change.places)


def _merged(places: Mapping[str, Iterable[int]], more: Mapping[str, Iterable[int]]) -> dict[str, list[int]]:
    """The partitions of both, sorted, by topic."""
    topics = sorted({*places, *more})
    return {topic: sorted({*places.get(topic, ()), *more.get(topic, ())})[:MOST_PARTITIONS] for topic in topics}


def _failed(group: FailureGroup, change: Change, hourly: int) -> None:
    """A failure came: what was at rest may have to be looked at again."""
    if group.status == Status.RESOLVED:
        later = change.last_failed_at and group.resolved_at and change.last_failed_at > group.resolved_at
        if group.resolved_by == ITSELF:
            reopen(group)
        elif later:
            _come_back(group)
        elif group.pending and not group.resolved_by:
            reopen(group)  # its deltas came in another order than it happened
    elif group.status == Status.ARCHIVED and wakes(group, hourly):
        _come_back(group)


def _come_back(group: FailureGroup) -> None:
    group.status = Status.REGRESSED
    group.regressions += 1
    group.resolved_at, group.resolved_by = None, ""
    unmute(group)


def wakes(group: FailureGroup, hourly: int) -> bool:
    """Whether an archived group has become what it was not to become; its time is the roll-up's to watch."""
    counted = group.muted_count is not None and group.count >= group.muted_count
    return counted or (group.muted_rate is not None and hourly >= group.muted_rate)


def unmute(group: FailureGroup) -> None:
    group.muted_until = group.muted_count = group.muted_rate = None


def resolve(group: FailureGroup, *, by: str, now: datetime) -> None:
    """It is over; `by` is empty when that is so because nothing is pending."""
    group.status, group.resolved_at, group.resolved_by = Status.RESOLVED, now, by
    unmute(group)


def reopen(group: FailureGroup) -> None:
    """It is known, and not over: also what acknowledging a new one comes to."""
    group.status, group.resolved_at, group.resolved_by = Status.KNOWN, None, ""
    unmute(group)


def archive(
    group: FailureGroup, *, until: datetime | None = None, more: int | None = None, rate: int | None = None
) -> None:
    """Hear no more of it until that time, so many `more` failures, or as many in an hour as `rate`; without any of
    them, never."""
    group.status = Status.ARCHIVED
    group.resolved_at, group.resolved_by = None, ""
    group.muted_until, group.muted_rate = until, rate
    group.muted_count = None if more is None else group.count + more


def escalation_rate(busiest_hour: int) -> int:
    """How many in an hour are an escalation, for a group whose busiest hour of late had so many."""
    return max(10, 3 * busiest_hour)
