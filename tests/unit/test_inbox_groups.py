"""What state a group of failures is in, after what has happened to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from consumers.inbox import groups
from consumers.inbox.groups import Change, Status
from consumers.models import FailureDelta, FailureGroup

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
EARLIER = NOW - timedelta(minutes=5)


def group(status: str = Status.NEW, **fields: object) -> FailureGroup:
    given = {"consumer": "c", "fingerprint": "f", "first_seen": NOW, "last_seen": NOW, "status": status}
    return FailureGroup(**given | fields)


def failed(number: int = 1, at: datetime = LATER) -> Change:
    change = Change(at)
    change.add(FailureDelta(at=at, came=number, failed=number, pending=number, reason="r", message="m 7", example_id=5))
    return change


def failed_again(at: datetime = LATER) -> Change:
    """A record that was pending failed once more."""
    change = Change(at)
    change.add(FailureDelta(at=at, failed=1, reason="r"))
    return change


def mended(number: int = 1, *, by_itself: bool = False) -> Change:
    change = Change(LATER, by_itself=by_itself)
    change.add(FailureDelta(at=LATER, pending=-number, resolved=number))
    return change


@pytest.mark.parametrize("status", [Status.NEW, Status.KNOWN, Status.REGRESSED])
def test_a_group_is_resolved_when_nothing_is_pending_any_more(status: str) -> None:
    one = group(status, pending=2, count=2)
    assert groups.apply(one, mended(), LATER) == ""
    assert groups.apply(one, mended(), LATER) == Status.RESOLVED
    assert (one.resolved_at, one.resolved_by) == (LATER, "")


def test_a_resolved_group_that_fails_again_has_come_back() -> None:
    one = group(Status.RESOLVED, resolved_at=NOW)
    assert groups.apply(one, failed(), LATER) == Status.REGRESSED
    assert (one.regressions, one.resolved_at) == (1, None)


def test_a_record_that_was_pending_all_the_time_brings_a_group_back_too_when_it_fails_again() -> None:
    one = group(Status.RESOLVED, resolved_at=NOW, resolved_by="ann", pending=1)
    assert groups.apply(one, failed_again(), LATER) == Status.REGRESSED


def test_a_failure_from_before_somebody_resolved_the_group_does_not_bring_it_back() -> None:
    one = group(Status.RESOLVED, resolved_at=NOW, resolved_by="ann")
    assert groups.apply(one, failed(at=EARLIER), LATER) == ""
    assert one.pending == 1


def test_a_failure_that_is_told_late_opens_a_group_that_only_seemed_to_be_over() -> None:
    one = group(Status.RESOLVED, resolved_at=NOW)
    assert groups.apply(one, failed(at=EARLIER), LATER) == Status.KNOWN
    assert one.regressions == 0


def test_a_group_that_comes_and_goes_by_itself_is_no_news_and_has_not_come_back() -> None:
    one = group(Status.NEW, pending=1, count=1)
    for _ in range(3):
        assert groups.apply(one, mended(by_itself=True), NOW) == ""
        assert (one.status, one.resolved_by) == (Status.RESOLVED, "automatic retries")
        assert groups.apply(one, failed(), LATER) == ""
        assert (one.status, one.resolved_at, one.resolved_by) == (Status.KNOWN, None, "")
    assert one.regressions == 0


def test_a_group_that_went_by_itself_and_then_by_somebodys_doing_has_come_back_after_that() -> None:
    one = group(Status.KNOWN, pending=1)
    groups.apply(one, mended(by_itself=True), NOW)
    groups.apply(one, failed(), NOW)
    assert groups.apply(one, mended(), NOW) == Status.RESOLVED
    assert groups.apply(one, failed(), LATER) == Status.REGRESSED


def test_a_failure_does_not_make_a_known_group_new() -> None:
    assert groups.apply(group(Status.KNOWN), failed(), LATER) == ""


def test_an_archived_group_stays_archived_whatever_happens() -> None:
    one = group(pending=1)
    groups.archive(one)
    assert groups.apply(one, failed(1_000), LATER, hourly=1_000) == ""
    assert groups.apply(one, mended(1_001), LATER) == ""
    assert one.status == Status.ARCHIVED


def test_a_group_archived_until_so_many_more_comes_back_with_the_last_of_them() -> None:
    one = group(count=10, pending=10)
    groups.archive(one, more=3)
    assert groups.apply(one, failed(2), LATER) == ""
    assert groups.apply(one, failed(1), LATER) == Status.REGRESSED
    assert one.muted_count is None


def test_a_group_archived_until_it_escalates_comes_back_when_an_hour_has_so_many() -> None:
    one = group(pending=1)
    groups.archive(one, rate=groups.escalation_rate(busiest_hour=20))
    assert groups.apply(one, failed(), LATER, hourly=59) == ""
    assert groups.apply(one, failed(), LATER, hourly=60) == Status.REGRESSED


def test_a_few_failures_are_no_escalation_of_next_to_none() -> None:
    assert groups.escalation_rate(0) == groups.escalation_rate(3) == 10


def test_a_group_is_described_by_its_latest_failure() -> None:
    one = group()
    groups.apply(one, failed(2), LATER)
    assert (one.reason, one.message, one.example_id) == ("r", "m #", 5)
    assert (one.count, one.pending, one.first_seen, one.last_seen) == (2, 2, NOW, LATER)


def test_what_is_mended_changes_neither_the_description_nor_the_last_failure() -> None:
    one = group(pending=5, reason="kept")
    groups.apply(one, mended(), LATER)
    assert (one.reason, one.last_seen) == ("kept", NOW)
