"""The inbox's numbers: exact after anything that can happen to failed records, in any order, from many at once."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consumers.core.chunks import Chunk
from consumers.core.outcomes import Failure, Outcomes
from consumers.core.policies import RetryPolicy
from consumers.core.records import Record, TopicPartition
from consumers.inbox.ending import delete_record, end_pending
from consumers.inbox.rollup import roll_up
from consumers.models import FailedRecord, FailureDelta, FailureGroup, PartitionLedger
from consumers.pipeline.failed_progress import FailedRecordProgress
from consumers.pipeline.keep import resolve_redelivered, store_failures
from tests.integration.engine import consume, move_back
from tests.makers import order
from tests.orders import OrderConsumer

pytestmark = pytest.mark.django_db

GROUP = "numbers"
SOURCES = [TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)]


def record(number: int) -> Record:
    return Record(SOURCES[number % len(SOURCES)], number, b"{}")


def failure(number: int, kind: int) -> Failure:
    return Failure(record=record(number), reason=f"r{kind % 2}", message=f"m {number}", fingerprint=f"{kind:016x}")


def store(*failures: Failure, consumer: str = "c", are_new: bool = False) -> None:
    with transaction.atomic():
        store_failures(failures, consumer=consumer, group=GROUP, using="default", are_new=are_new)


def retry(rows: list[FailedRecord], again: dict[int, int]) -> None:
    """Process failed records again; those whose offset is in `again` fail as that kind."""
    outcomes = Outcomes()
    for row in rows:
        if row.offset in again:
            outcomes.failures.append(failure(row.offset, again[row.offset]))
        else:
            random.choice([outcomes.written, outcomes.duplicates, outcomes.skipped]).append(record(row.offset))
    progress = FailedRecordProgress(rows, "test", RetryPolicy(), "default")
    with transaction.atomic():
        progress.finish(Chunk({}, tuple(progress.records())), outcomes)


def counted() -> Counter[tuple[str, str, str]]:
    """Failed records by consumer, fingerprint and status, as the table has them."""
    return Counter(FailedRecord.objects.values_list("consumer", "fingerprint", "status"))


def told() -> Counter[tuple[str, str, str]]:
    """The same as the groups have it."""
    found: Counter[tuple[str, str, str]] = Counter()
    for group in FailureGroup.objects.all():
        for status in FailedRecord.Status.values:
            found[group.consumer, group.fingerprint, status] = getattr(group, status)
    assert min(found.values(), default=0) >= 0
    return +found


def roll_up_all() -> None:
    while roll_up("default", most=7):
        pass


def _random_step(rng: random.Random) -> None:
    numbers = rng.sample(range(60), rng.randrange(1, 12))
    rows = list(FailedRecord.objects.filter(offset__in=numbers, status="pending"))
    step = rng.randrange(6)
    if step <= 1:
        failures = [failure(n, rng.randrange(4)) for n in numbers]
        store(*failures, consumer=rng.choice(["c", "d"]), are_new=rng.random() < 0.5)  # it may be wrong
    elif step == 2:
        with transaction.atomic():
            resolve_redelivered(map(record, numbers), GROUP, "default")
    elif step == 3:
        retry(rows, {n: rng.randrange(4) for n in numbers if rng.random() < 0.5})
    elif step == 4:
        status = rng.choice([FailedRecord.Status.DISCARDED, FailedRecord.Status.RESOLVED])
        end_pending(FailedRecord.objects.filter(offset__in=numbers), status, by="somebody", note="x")
    else:
        roll_up("default", most=rng.randrange(1, 5))


@pytest.mark.parametrize("seed", range(20))
def test_groups_count_what_the_table_holds_whatever_happened_to_the_records(seed: int) -> None:
    rng = random.Random(seed)
    random.seed(seed)
    for _ in range(40):
        _random_step(rng)
    roll_up_all()
    assert told() == counted()
    assert counted().total() > 10
    assert not FailureDelta.objects.exists()


def test_a_record_that_fails_otherwise_moves_to_the_other_group() -> None:
    store(failure(1, 1))
    retry(list(FailedRecord.objects.all()), {1: 2})
    roll_up_all()
    assert told() == {("c", f"{2:016x}", "pending"): 1}
    assert FailureGroup.objects.get(fingerprint=f"{1:016x}").count == 1


def test_a_failure_that_is_undone_with_its_transaction_is_counted_nowhere() -> None:
    with transaction.atomic():
        store(failure(1, 1))
        transaction.set_rollback(True)
    roll_up_all()
    assert not FailureGroup.objects.exists()


def test_a_record_that_is_deleted_is_not_counted_any_more() -> None:
    store(failure(1, 1), failure(2, 1))
    delete_record(FailedRecord.objects.all()[0])
    roll_up_all()
    assert told() == counted() == {("c", f"{1:016x}", "pending"): 1}


def test_a_group_tells_where_it_happened_and_shows_an_example() -> None:
    store(failure(0, 1), failure(1, 1), failure(2, 1), failure(4, 1))
    roll_up_all()
    group = FailureGroup.objects.get()
    assert group.places == {"a": [0, 1], "b": [0]}
    assert (group.reason, group.message, group.count) == ("r1", "m #", 4)
    assert FailedRecord.objects.get(pk=group.example_id).fingerprint == group.fingerprint


def test_a_chunk_without_failures_costs_no_statement_more() -> None:
    with CaptureQueriesContext(connection) as queries:
        consume(OrderConsumer, order(), order())
    assert not [query["sql"] for query in queries if "failuredelta" in query["sql"] or "failedrecord" in query["sql"]]


def test_failures_of_records_that_come_for_the_first_time_are_not_looked_for() -> None:
    def looks() -> int:
        with CaptureQueriesContext(connection) as queries:
            consume(OrderConsumer, *values)
        return sum(query["sql"].startswith('SELECT "consumers_failedrecord"') for query in queries)

    values = [order("n1"), order("n2", quantity=-1)]
    assert looks() == 0
    move_back(OrderConsumer.name)
    assert looks() > 0
    assert list(FailedRecord.objects.values_list("attempts", flat=True)) == [2]


def test_a_failure_that_was_not_expected_there_is_updated_and_never_doubled() -> None:
    values = [order("n1"), order("n2", quantity=-1)]
    consume(OrderConsumer, *values)
    PartitionLedger.objects.all().delete()  # somebody's own doing: the group begins anew
    consume(OrderConsumer, *values)
    assert list(FailedRecord.objects.values_list("attempts", flat=True)) == [2]
    roll_up_all()
    assert told() == counted()


def test_a_consumer_counts_what_it_refuses(registered: Any) -> None:
    consume(OrderConsumer, order("n1"), order("n2", quantity=-1), order("n3", quantity=-2), b"no json")
    roll_up_all()
    assert told() == counted()
    assert sorted(FailureGroup.objects.values_list("pending", flat=True)) == [1, 2]


def test_the_moment_of_the_first_and_the_last_failure_is_kept() -> None:
    before = timezone.now()
    store(failure(1, 1))
    middle = timezone.now()
    store(failure(2, 1))
    roll_up_all()
    group = FailureGroup.objects.get()
    assert before <= group.first_seen <= middle <= group.last_seen
