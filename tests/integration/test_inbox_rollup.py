"""The roll-up: bounded, one at a time, and right whoever else is at it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from consumers.core.chunks import Chunk
from consumers.core.outcomes import Outcomes
from consumers.core.policies import RetryPolicy
from consumers.inbox.rollup import roll_up
from consumers.inbox.trends import floor
from consumers.models import (
    Alert,
    AlertDelivery,
    FailedRecord,
    FailureBucket,
    FailureDelta,
    FailureGroup,
    FailureNote,
    ReasonBucket,
)
from consumers.pipeline.failed_progress import FailedRecordProgress
from consumers.reprocess import Result, Selection
from consumers.watch import Watch
from tests.integration.inbox import fail, group, records, taken_up

pytestmark = pytest.mark.django_db


def in_threads(*tasks: Callable[[], None]) -> None:
    """Run each in a thread with a connection of its own; the first error is raised."""
    errors: list[BaseException] = []

    def run(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001  (raised below)
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[task]) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.django_db(transaction=True)
def test_many_that_store_and_roll_up_at_once_lose_and_double_nothing() -> None:
    def work(partition: int) -> Callable[[], None]:
        def store_and_roll_up() -> None:
            for number in range(15):
                fail(2, kind=number % 3, partition=partition)
                roll_up("default", most=3)

        return store_and_roll_up

    in_threads(*map(work, range(4)))
    taken_up()
    assert sorted(FailureGroup.objects.values_list("pending", flat=True)) == [40, 40, 40]
    assert FailedRecord.objects.count() == 120
    assert sum(FailureBucket.objects.values_list("count", flat=True)) == 120


@pytest.mark.django_db(transaction=True)
def test_a_roll_up_beside_another_returns_at_once_and_takes_nothing() -> None:
    fail(3)
    others: list[int] = []
    with transaction.atomic():
        assert roll_up("default") == 1
        in_threads(lambda: others.append(roll_up("default")))
    assert others == [0]
    assert group().pending == 3


def test_a_roll_up_takes_no_more_than_it_is_told_to() -> None:
    for _ in range(5):
        fail()
    assert roll_up("default", most=2) == 2
    assert FailureDelta.objects.count() == 3
    assert FailureGroup.objects.get().pending == 2


def test_with_nothing_to_do_a_roll_up_only_looks(django_assert_num_queries: Callable[[int], object]) -> None:
    with django_assert_num_queries(2):  # type: ignore[attr-defined]
        assert roll_up("default") == 0


def test_failures_are_counted_by_the_hour_and_by_reason() -> None:
    fail(2)
    taken_up()
    fail(3)
    one = group()
    assert list(one.buckets.values_list("count", flat=True)) == [5]
    assert one.buckets.get().hour == floor(one.last_seen, timedelta(hours=1))
    assert ReasonBucket.objects.get().count == 5


def test_old_buckets_are_forgotten() -> None:
    one = (fail(), group())[1]
    old = timezone.now() - timedelta(days=50)
    FailureBucket.objects.create(group=one, hour=old, count=1)
    ReasonBucket.objects.create(consumer="c", reason="r", start=old, count=1)
    fail()
    taken_up()
    assert not FailureBucket.objects.filter(hour=old).exists()
    assert not ReasonBucket.objects.filter(start=old).exists()


def test_a_resolved_group_that_fails_again_has_come_back_and_its_history_says_so() -> None:
    fail()
    records().update(status="resolved")
    FailureDelta.objects.create(
        consumer="inbox-test", fingerprint=f"{1:016x}", at=timezone.now(), pending=-1, resolved=1
    )
    assert group().status == "resolved"
    fail()
    assert group().status == "regressed"
    said = list(FailureNote.objects.order_by("id").values_list("text", flat=True))
    assert said == ["Nothing is pending any more.", "It came back."]


def retried(*, due: bool, by: str) -> None:
    """All that is pending goes well; those that are `due` again by themselves waited for a row that came."""
    rows = list(records().filter(status="pending"))
    if due:
        records().update(retry_after=timezone.now())
    progress = FailedRecordProgress(rows, by, RetryPolicy(), "default")
    chunk = Chunk({}, tuple(progress.records()))
    with transaction.atomic():
        progress.finish(chunk, Outcomes(written=[*chunk.records]))


def test_failures_that_go_by_themselves_within_minutes_are_not_told_as_having_come_back_each_time() -> None:
    for _ in range(3):
        fail(2)
        assert group().status in ("new", "known")
        retried(due=True, by="the watch")
        assert (group().status, group().resolved_by) == ("resolved", "automatic retries")
    assert group().regressions == 0
    assert list(Alert.objects.values_list("kind", flat=True)) == ["new_group"]
    assert not FailureNote.objects.exists()


def test_failures_that_somebody_has_retried_and_that_fail_again_are_told_as_having_come_back() -> None:
    fail()
    taken_up()
    retried(due=False, by="ann")
    assert (group().status, group().resolved_by) == ("resolved", "")
    fail()
    assert group().status == "regressed"
    assert Alert.objects.filter(kind="regression").exists()


def test_one_that_went_by_itself_does_not_hide_the_others_that_somebody_has_retried() -> None:
    fail()
    taken_up()
    retried(due=True, by="the watch")
    fail()
    retried(due=False, by="ann")
    assert (group().status, group().resolved_by) == ("resolved", "")


def test_a_group_whose_time_in_the_archive_is_over_is_back_without_a_failure() -> None:
    fail()
    FailureGroup.objects.filter(pk=group().pk).update(status="archived", muted_until=timezone.now())
    roll_up("default")
    assert group().status == "known"
    assert group().muted_until is None


def test_more_groups_than_one_statement_holds_are_rolled_up() -> None:
    now = timezone.now()
    FailureDelta.objects.bulk_create(
        FailureDelta(consumer="c", fingerprint=f"{n:016x}", at=now, came=1, failed=1, pending=1, reason="r")
        for n in range(2_500)
    )
    taken_up()
    FailureDelta.objects.bulk_create(
        FailureDelta(consumer="c", fingerprint=f"{n:016x}", at=now, pending=-1, discarded=1) for n in range(2_500)
    )
    taken_up()
    assert FailureGroup.objects.filter(pending=0, discarded=1, count=1, status="resolved").count() == 2_500


def test_failures_from_before_the_inbox_get_their_groups_from_the_migration() -> None:
    from importlib import import_module

    fail(3, topic="a")
    fail(2, topic="b", partition=4)
    fail(1, kind=2)
    records(2).update(status="discarded")
    FailedRecord.objects.update(first_failed_at=timezone.now() - timedelta(days=2))
    FailureDelta.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(import_module("consumers.migrations.0003_failure_inbox").DELTAS_OF_EXISTING_FAILURES)
    one, other = group(1), group(2)
    assert (one.count, one.pending, one.status) == (5, 5, "new")
    assert one.places == {"a": [0], "b": [4]}
    assert (one.reason, one.message) == ("bad_name", "name # is bad")
    assert (other.count, other.discarded, other.status) == (1, 1, "resolved")
    assert not Alert.objects.exists()  # what is two days old is no news


def test_who_watches_for_failed_records_tends_the_inbox_too() -> None:
    fail()
    Watch(Selection(reason="none such"), by="test", interval=1)._look(Result())
    assert FailureGroup.objects.get().pending == 1
    assert not AlertDelivery.objects.filter(state="waiting").exists()
