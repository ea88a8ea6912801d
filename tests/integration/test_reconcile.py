"""Moving a group, and the accounts that tell whether anything was lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumers import positions, registry
from consumers.core.records import TopicPartition
from consumers.ledger import Ledger
from consumers.models import FailedRecord, OffsetGap, PartitionLedger, PositionMove
from consumers.reconcile import Report, reconcile
from consumers.testing import MemoryLog, run_consumer
from tests.integration.engine import P0, counts, ledger, log_of
from tests.makers import order
from tests.orders import TOPIC, Order, OrderConsumer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    registry.register("orders")(OrderConsumer)
    yield
    registry.unregister("orders")


class LogView:
    """What `reconcile` asks of a broker, asked of a log in memory."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def watermarks(self, source: TopicPartition) -> tuple[int, int]:
        return self._log.first[source], self._log.next[source]

    def first_from(self, source: TopicPartition, offset: int) -> int:
        later = [record.offset for record in self._log.partitions[source] if record.offset >= offset]
        return later[0] if later else self._log.next[source]


def report_on(log: MemoryLog) -> Report:
    return reconcile(LogView(log), using="default", topic=TOPIC)


def move(to: int, group: str = "orders") -> None:
    moves = positions.plan(Ledger(group, "default"), [(P0, to)])
    positions.apply(Ledger(group, "default"), moves, by="operator")


def faults(log: MemoryLog) -> list[str]:
    report = report_on(log)
    found = [text for each in (*report.partitions, *report.tables) for text in each.faults]
    assert report.balances == (not found)
    return found


def test_the_books_of_a_healthy_group_balance() -> None:
    log = log_of(order(), b"{", None, order())
    run_consumer(OrderConsumer, log)
    report = report_on(log)
    [books] = report.partitions
    assert report.balances
    assert (books.received, books.written, books.failed, books.skipped, books.lag) == (4, 2, 1, 1, 0)


def test_what_is_still_to_come_is_lag_and_no_fault() -> None:
    log = log_of(order())
    run_consumer(OrderConsumer, log)
    log.append(TOPIC, order())
    [books] = report_on(log).partitions
    assert (books.lag, books.faults) == (1, [])


def test_a_row_deleted_by_hand_is_missed() -> None:
    log = log_of(order(), order())
    run_consumer(OrderConsumer, log)
    Order.objects.first().delete()  # type: ignore[union-attr]
    assert faults(log) == ["1 rows that were written are not in the table any more"]


def test_a_failed_record_deleted_by_hand_is_missed() -> None:
    log = log_of(b"{")
    run_consumer(OrderConsumer, log)
    FailedRecord.objects.all().delete()
    assert faults(log) == ["1 records failed, but only 0 are kept as failed records"]


def test_rows_from_elsewhere_are_remarked_upon_and_no_fault() -> None:
    log = log_of(order())
    run_consumer(OrderConsumer, log)
    Order.objects.create(number="by hand")
    [table] = report_on(log).tables
    assert (table.faults, table.remarks) == ([], ["1 rows come from elsewhere, not from a consumer"])


def test_ends_of_transactions_are_explained() -> None:
    log = log_of(order())
    log.skip(TOPIC)
    log.append(TOPIC, order())
    run_consumer(OrderConsumer, log)
    [books] = report_on(log).partitions
    assert books.missing == 1
    assert (books.faults, books.remarks) == (
        [],
        ["1 single offsets hold no record: ends of transactions, or compaction"],
    )


def test_a_gap_that_the_log_has_too_is_named_and_explained() -> None:
    log = log_of(order())
    log.skip(TOPIC, count=3)
    log.append(TOPIC, order())
    run_consumer(OrderConsumer, log)
    [books] = report_on(log).partitions
    assert books.faults == []
    assert books.remarks == ["offsets 1-3 hold no record in the log: compaction or an aborted transaction"]


def test_a_gap_in_which_the_log_holds_a_record_is_a_loss() -> None:
    log = log_of(*(order() for _ in range(5)))
    run_consumer(OrderConsumer, log)
    OffsetGap.objects.create(group="orders", topic=TOPIC, partition=0, start=1, end=3)
    assert faults(log) == ["offsets 1-2 were passed as empty, but the log holds a record at 1"]


def test_what_retention_removed_before_it_was_read_is_a_loss() -> None:
    log = log_of(order(), order(), order(), order())
    run_consumer(OrderConsumer, log)
    for _ in range(6):
        log.append(TOPIC, order())
    log.truncate(TOPIC, before=8)
    assert faults(log) == ["offsets 4-7 were removed from the log before they were read"]
    run_consumer(OrderConsumer, log)
    assert faults(log) == ["offsets 4-7 were not there when it was their turn, nor are they now: removed by retention"]


def test_a_topic_made_anew_is_noticed() -> None:
    log = log_of(order(), order())
    run_consumer(OrderConsumer, log)
    [fault] = faults(log_of(order()))
    assert fault.startswith("the ledger stands at 2, but the log ends at 1: the topic was made anew")


def test_a_move_back_reads_again_and_counts_nothing_twice() -> None:
    log = log_of(order(), order(), order())
    run_consumer(OrderConsumer, log)
    move(1)
    assert counts(run_consumer(OrderConsumer, log)) == {"duplicates": 2}
    assert ledger() == {"next_offset": 3, "received": 3, "written": 3}
    assert faults(log) == []


def test_a_move_forward_skips_and_says_so() -> None:
    log = log_of(*(order() for _ in range(4)))
    run_consumer(OrderConsumer, log)
    for _ in range(4):
        log.append(TOPIC, order())
    move(6)
    assert counts(run_consumer(OrderConsumer, log)) == {"written": 2}
    [books] = report_on(log).partitions
    assert (books.faults, books.remarks) == ([], ["2 offsets were passed over by manage.py seek"])
    moved = PositionMove.objects.get()
    assert (moved.from_offset, moved.to_offset, moved.passed_over, moved.moved_by) == (4, 6, 2, "operator")


def test_a_group_that_never_read_can_be_moved_first() -> None:
    log = log_of(*(order() for _ in range(4)))
    move(3)
    assert counts(run_consumer(OrderConsumer, log)) == {"written": 1}
    move(0)
    assert counts(run_consumer(OrderConsumer, log)) == {"written": 3, "duplicates": 1}


def test_a_move_fences_a_member_that_still_reads() -> None:
    log = log_of(order())
    run_consumer(OrderConsumer, log)
    before = PartitionLedger.objects.get().epoch
    move(0)
    assert PartitionLedger.objects.get().epoch == before + 1
