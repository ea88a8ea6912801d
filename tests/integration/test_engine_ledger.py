"""The database is the authority on progress: redelivery, gaps, zombies, and a COMMIT whose answer was lost."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from consumers.concurrency import Event
from consumers.core.errors import BooksDoNotBalance
from consumers.core.outcomes import Outcomes
from consumers.core.policies import BatchPolicy
from consumers.core.records import TopicPartition
from consumers.engine import claims
from consumers.engine.runner import RunOptions
from consumers.ledger import Ledger
from consumers.models import FailedRecord, OffsetGap, PartitionLedger
from consumers.pipeline.units import Unit
from consumers.pipeline.write import Writer
from payments.balances import unbalanced
from payments.consumers import PaymentConsumer
from payments.models import Balance
from tests.integration.engine import (
    P0,
    P1,
    SMALL,
    Harness,
    consume,
    counts,
    failures,
    ledger,
    log_of,
    move_back,
    run_consumer,
    wait_until,
)
from tests.makers import order, payment
from tests.orders import TOPIC, Order, OrderConsumer, OrderEvent

pytestmark = pytest.mark.django_db


# ---- going on, gaps and redelivery ----------------------------------------------------------------------------------


def test_the_next_run_goes_on_where_the_last_one_stopped() -> None:
    log = log_of(order(), order())
    assert counts(run_consumer(OrderConsumer, log)) == {"written": 2}
    log.append(TOPIC, order())
    assert counts(run_consumer(OrderConsumer, log)) == {"written": 1}
    assert ledger() == {"next_offset": 3, "received": 3, "written": 3}


def test_each_claim_raises_the_epoch() -> None:
    harness = Harness(OrderConsumer, log_of(order()))
    with harness.running():
        for epoch in (1, 2, 3):
            wait_until(lambda epoch=epoch: harness.settled() == 1 and PartitionLedger.objects.get().epoch == epoch)
            harness.source.lose(P0)
            wait_until(lambda: harness.runner.partitions.get(P0) is None)
            harness.source.assign(P0)


def test_groups_come_forward_apart() -> None:
    log = log_of(order("a"))
    run_consumer(OrderConsumer, log)
    assert counts(run_consumer(OrderConsumer, log, options=RunOptions(group="other", until_end=True))) == {
        "duplicates": 1
    }
    assert ledger("other") == {"next_offset": 1, "received": 1, "duplicates": 1}


def test_empty_offsets_at_the_end_move_the_ledger_there() -> None:
    log = log_of(order())
    log.skip(TOPIC, count=3)
    assert counts(run_consumer(OrderConsumer, log)) == {"written": 1}
    assert ledger() == {"next_offset": 4, "received": 1, "written": 1}


def test_empty_offsets_between_records_are_not_counted() -> None:
    log = log_of()
    log.skip(TOPIC, count=5)
    log.append(TOPIC, order())
    log.skip(TOPIC, count=2)
    log.append(TOPIC, order())
    assert counts(run_consumer(OrderConsumer, log)) == {"written": 2}
    assert ledger() == {"next_offset": 9, "received": 2, "written": 2}


def test_a_partition_of_empty_offsets_only_is_settled_to_its_end() -> None:
    log = log_of()
    log.skip(TOPIC, count=4)
    assert counts(run_consumer(OrderConsumer, log)) == {}
    assert ledger() == {"next_offset": 4}


def test_offsets_that_held_nothing_are_kept_once_however_often_they_are_read() -> None:
    log = log_of(order())
    log.skip(TOPIC, count=3)
    log.append(TOPIC, order())
    log.skip(TOPIC, count=2)
    for to in (0, 0, 4):
        run_consumer(OrderConsumer, log)
        move_back(to=to)
    run_consumer(OrderConsumer, log)
    assert list(OffsetGap.objects.order_by("start").values_list("start", "end")) == [(1, 4), (5, 7)]


def test_records_that_retention_took_before_they_were_read_are_passed_over() -> None:
    log = log_of(*(order() for _ in range(6)))
    run_consumer(OrderConsumer, log, options=RunOptions(max_records=2))
    log.truncate(TOPIC, before=4)
    assert counts(run_consumer(OrderConsumer, log)) == {"written": 2}
    assert ledger() == {"next_offset": 6, "received": 4, "written": 4}


def test_a_new_group_starts_where_it_committed_before_there_was_a_ledger() -> None:
    log = log_of(*(order() for _ in range(5)))
    log.committed["orders", P0] = (3, "")
    assert counts(run_consumer(OrderConsumer, log)) == {"written": 2}


def test_an_offset_moved_by_another_tool_is_answered_and_not_followed(caplog: pytest.LogCaptureFixture) -> None:
    log = log_of(order(), order())
    run_consumer(OrderConsumer, log)
    log.committed["orders", P0] = (0, "")
    harness = Harness(OrderConsumer, log)
    with harness.running():
        wait_until(lambda: harness.settled() == 2)
    assert harness.counts() == {}
    assert "offsets of group orders were moved by another tool: orders[0] to 0. The ledger stands at 2" in caplog.text


def test_an_offset_moved_by_another_tool_is_answered_even_if_there_is_nothing_to_consume(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = log_of(order(), order())
    run_consumer(OrderConsumer, log)
    log.committed["orders", P0] = (0, "")
    assert counts(run_consumer(OrderConsumer, log)) == {}
    assert "to move the group use manage.py seek" in caplog.text


def test_a_database_that_never_had_the_records_gets_them_whatever_the_broker_remembers() -> None:
    log = log_of(order(), order())
    log.committed["orders", P0] = (2, "ours")
    assert counts(run_consumer(OrderConsumer, log)) == {"written": 2}


def test_the_brokers_copy_of_the_progress_is_committed_as_ours() -> None:
    log = log_of(order(), order())
    run_consumer(OrderConsumer, log)
    assert log.committed["orders", P0] == (2, "ours")


def test_redelivery_counts_nothing_twice() -> None:
    log = log_of(order(), b"{", None, order())
    run_consumer(OrderConsumer, log)
    before = ledger()
    move_back()
    assert counts(run_consumer(OrderConsumer, log)) == {"duplicates": 2, "failed": 1, "skipped": 1}
    assert ledger() == before


def test_redelivery_together_with_new_records_counts_only_these() -> None:
    log = log_of(order(), order())
    run_consumer(OrderConsumer, log)
    move_back(to=1)
    log.append(TOPIC, order())
    run_consumer(OrderConsumer, log)
    assert ledger() == {"next_offset": 3, "received": 3, "written": 3}


def test_the_new_rows_of_all_chunks_are_counted() -> None:
    class Lines(OrderConsumer):
        batch = SMALL

        def process(self, event: OrderEvent, context: object) -> list[Order]:
            return [Order(number=f"{event.number}/{line}") for line in range(event.quantity)]

    log = log_of(*(order(quantity=lines) for lines in (1, 3, 2, 1, 1)))
    run_consumer(Lines, log)
    move_back(to=1)
    run_consumer(Lines, log)
    assert PartitionLedger.objects.get().rows == Order.objects.count() == 8


def test_redelivery_updates_a_failed_record_and_never_doubles_it() -> None:
    log = log_of(b"{")
    for _ in range(3):
        run_consumer(OrderConsumer, log)
        move_back()
    assert failures("offset", "attempts", "status") == [(0, 3, "pending")]
    failed = FailedRecord.objects.get()
    assert failed.first_failed_at < failed.last_failed_at


def test_a_redelivered_record_that_goes_well_now_resolves_its_failure() -> None:
    class Moody(OrderConsumer):
        mood = "bad"

        def process(self, event: OrderEvent, context: object) -> Order:
            if event.note == Moody.mood:
                raise ValueError("not today")
            return Order(number=event.number)

    log = log_of(order(note="bad"), b"{")
    run_consumer(Moody, log)
    Moody.mood = "good"
    move_back()
    run_consumer(Moody, log)
    assert failures("offset", "status", "resolved_by") == [(0, "resolved", "redelivery"), (1, "pending", "")]
    assert Order.objects.count() == 1


def test_a_redelivered_record_that_is_skipped_now_resolves_its_failure() -> None:
    class Moody(OrderConsumer):
        fails = True

        def process(self, event: OrderEvent, context: object) -> Order | None:
            if Moody.fails:
                raise ValueError("not today")
            return None

    log = log_of(order())
    run_consumer(Moody, log)
    Moody.fails = False
    move_back()
    assert counts(run_consumer(Moody, log)) == {"skipped": 1}
    assert failures("status") == ["resolved"]


def test_a_resolved_failure_that_fails_on_redelivery_is_pending_again() -> None:
    log = log_of(b"{")
    run_consumer(OrderConsumer, log)
    FailedRecord.objects.update(status="resolved", resolved_by="somebody", resolved_at=timezone.now())
    move_back()
    run_consumer(OrderConsumer, log)
    assert failures("status", "resolved_by", "resolved_at") == [("pending", "", None)]


def test_a_discarded_failure_that_fails_on_a_replay_is_pending_again_and_keeps_its_note() -> None:
    log = log_of(b"{")
    run_consumer(OrderConsumer, log)
    FailedRecord.objects.update(status="discarded", note="a test event")
    move_back()
    run_consumer(OrderConsumer, log)
    assert failures("status", "note") == [("pending", "a test event")]


def test_an_effect_in_the_same_transaction_happens_once_however_often_the_record_comes(advertiser: Any) -> None:
    log = log_of(*(payment(advertiser) for _ in range(4)), topic=PaymentConsumer.topics[0])
    for to in (0, 2, 1, 0):
        run_consumer(PaymentConsumer, log)
        move_back("payments", to)
    assert Balance.objects.get().amount == Decimal(40)
    assert not unbalanced()


# ---- zombies --------------------------------------------------------------------------------------------------------


class Gated(OrderConsumer):
    """Waits in `process` for the gate of the order's note."""

    batch = BatchPolicy(max_wait=0)
    gates: dict[str, Event] = {}  # noqa: RUF012
    waiting: list[str] = []  # noqa: RUF012

    def process(self, event: OrderEvent, context: object) -> Order:
        if event.note in self.gates:
            self.waiting.append(event.note)
            self.gates[event.note].wait()
        return Order(number=event.number, note=event.note)


@pytest.fixture
def gate() -> Event:
    """The gate of orders noted "x"."""
    gate = Event()
    Gated.gates = {"x": gate}
    Gated.waiting = []
    return gate


def another_member_claims(*sources: TopicPartition) -> None:
    for source in sources:
        PartitionLedger.objects.filter(partition=source.partition).update(epoch=F("epoch") + 1)


def test_a_zombie_is_fenced_and_its_chunk_rolled_back(gate: Event, caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness(Gated, log_of(order(note="x"), b"{"))
    with harness.running():
        wait_until(lambda: Gated.waiting)
        another_member_claims(P0)
        gate.set()
        wait_until(lambda: "was fenced" in caplog.text)
    assert not Order.objects.exists()
    assert not FailedRecord.objects.exists()
    assert ledger() == {}
    assert ("orders", P0) not in harness.log.committed


def test_a_fence_between_the_claim_and_the_write_of_one_partition_lets_the_other_go_on(
    gate: Event, caplog: pytest.LogCaptureFixture
) -> None:
    log = log_of(order("a", note="x"), partitions=2)
    log.append(TOPIC, order("b", note="x"), partition=1)
    harness = Harness(Gated, log, lanes=1)
    with harness.running():
        wait_until(lambda: Gated.waiting)
        another_member_claims(P0)
        gate.set()
        wait_until(lambda: harness.settled(P1) == 1)
        log.append(TOPIC, order("c"), partition=1)
        wait_until(lambda: harness.settled(P1) == 2)
    assert sorted(Order.objects.values_list("number", flat=True)) == ["b", "c"]
    assert (ledger(partition=0), ledger(partition=1)) == ({}, {"next_offset": 2, "received": 2, "written": 2})
    assert harness.counts() == {"written": 2}
    assert "another member has claimed orders[0]" in caplog.text


def test_a_fenced_partition_that_stays_ours_is_claimed_again(gate: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "REGAIN_AFTER", 0.0)
    harness = Harness(Gated, log_of(order(note="x"), order()))
    with harness.running():
        wait_until(lambda: Gated.waiting)
        another_member_claims(P0)
        gate.set()
        wait_until(lambda: harness.settled() == 2)
    assert ledger() == {"next_offset": 2, "received": 2, "written": 2}
    assert PartitionLedger.objects.get().epoch == 3


def test_a_member_that_is_fenced_everywhere_again_and_again_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    class Rivalled(OrderConsumer):
        def prefetch(self, events: Any) -> None:
            another_member_claims(P0)

    monkeypatch.setattr(claims, "REGAIN_AFTER", 0.0)
    with pytest.raises(Exception, match="claimed every partition of group orders again and again"):
        consume(Rivalled, order())
    assert not Order.objects.exists()


def test_a_claim_waits_for_the_chunk_that_is_being_settled(committed: None) -> None:
    lines = Ledger("orders", "default")
    lines.claim({P0: 0})
    with transaction.atomic(), closing(connection.copy()) as rival, rival.cursor() as cursor:
        lines.lock([P0])
        cursor.execute("BEGIN; SET LOCAL lock_timeout = '50ms'")
        with pytest.raises(OperationalError, match="lock timeout"):
            cursor.execute("UPDATE consumers_partitionledger SET epoch = epoch + 1")
        cursor.execute("ROLLBACK")
    assert lines.claim({P0: 0})[P0].epoch == 2


# ---- COMMIT ---------------------------------------------------------------------------------------------------------


class LostCommits:
    """Stands before the connection's COMMIT: the next ones take, or not, and the answer is lost either way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.to_lose: list[bool] = []
        self._commit = connection._commit
        monkeypatch.setattr(connection, "_commit", self._lossy)

    def _lossy(self) -> None:
        if not self.to_lose:
            return self._commit()
        if self.to_lose.pop(0):
            self._commit()
        else:
            connection._rollback()
        connection.close_if_unusable_or_obsolete()
        raise OperationalError("server closed the connection unexpectedly")


class Losing(PaymentConsumer):
    """Loses the answer to the COMMIT of its next transactions."""

    commits: LostCommits
    plan: Sequence[bool] = ()

    def on_written(self, rows: Any) -> None:
        super().on_written(rows)
        self.commits.to_lose, Losing.plan = list(Losing.plan[:1]), Losing.plan[1:]


@pytest.mark.parametrize("plan", [[True], [False], [False, True], [False, False]], ids=str)
def test_a_connection_lost_in_commit_costs_nothing_and_doubles_nothing(
    committed: None, advertiser: Any, monkeypatch: pytest.MonkeyPatch, plan: list[bool]
) -> None:
    Losing.commits, Losing.plan = LostCommits(monkeypatch), plan
    log = log_of(payment(advertiser), b"{", payment(advertiser), topic=PaymentConsumer.topics[0])
    harness = Harness(Losing, log, options=RunOptions(until_end=True))
    harness.runner.run()
    assert harness.counts() == {"written": 2, "failed": 1}
    assert ledger("payments") == {"next_offset": 3, "received": 3, "written": 2, "failed": 1}
    assert Balance.objects.get().amount == Decimal(20)
    assert failures("attempts") == [1]
    assert Losing.plan == []


def test_rows_of_the_chunk_and_the_ledger_are_one_transaction(committed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Small(OrderConsumer):
        batch = SMALL

    def torn(*args: Any) -> None:
        raise RuntimeError("torn off before the ledger moved")

    monkeypatch.setattr(Ledger, "advance", torn)
    with pytest.raises(RuntimeError, match="torn off"):
        consume(Small, order(), b"{")
    assert not Order.objects.exists()
    assert not FailedRecord.objects.exists()
    assert ledger() == {}


def test_a_record_that_gets_lost_on_the_way_stops_the_consumer_with_nothing_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lossy(self: Writer, units: Sequence[Unit], outcomes: Outcomes) -> None:
        write(self, units[:-1], outcomes)

    write = Writer.write
    monkeypatch.setattr(Writer, "write", lossy)
    with pytest.raises(BooksDoNotBalance, match=r"4 records received, but 2 written .* 1 failed; .* orders\[0\]@3"):
        consume(OrderConsumer, order(), b"{", order(), order())
    assert not Order.objects.exists()
    assert not FailedRecord.objects.exists()
    assert ledger() == {}
