"""Order kept across a failure: later records of a key wait, where the policy says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import pytest

from consumers import registry
from consumers.api import BatchPolicy, RetryPolicy, register, reject
from consumers.engine.runner import RunOptions
from consumers.models import FailedRecord
from consumers.release import release_due
from consumers.reprocess import Selection, reprocess
from consumers.settings import engine_settings
from tests.integration.engine import MemoryLog, consume, counts, failures, ledger, log_of, move_back, run_consumer
from tests.makers import order
from tests.orders import TOPIC, Order, OrderConsumer, OrderEvent

pytestmark = pytest.mark.django_db


class Holding(OrderConsumer):
    """Orders of one note are kept in order; those named "bad" are refused while `refuses` is set."""

    batch = BatchPolicy(max_wait=0, chunk_records=2)
    retry = RetryPolicy(hold_key=True)
    refuses: ClassVar[bool] = True
    effects: ClassVar[list[str]] = []

    def order_by(self, event: OrderEvent) -> str | None:
        return event.note or None

    def process(self, event: OrderEvent, context: object) -> Order:
        if event.code == "bad" and self.refuses:
            reject("refused")
        return Order(number=event.number, note=event.note, quantity=event.quantity)

    def on_written(self, rows: Sequence[Order]) -> None:
        self.effects.extend(row.number for row in rows)


class Passing(Holding):
    retry = RetryPolicy()


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    register("orders")(Holding)
    Holding.refuses, Holding.effects = True, []
    yield
    registry.unregister("orders")


def stored() -> list[str]:
    return sorted(Order.objects.values_list("number", flat=True))


A_BAD, A_GOOD, B_GOOD = {"note": "a", "code": "bad"}, {"note": "a"}, {"note": "b"}


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_later_records_of_the_key_are_held_back_and_those_of_others_pass(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Holding, "batch", BatchPolicy(max_wait=0, chunk_records=chunk))
    values = [order("1", **A_GOOD), order("2", **A_BAD), order("3", **A_GOOD), order("4", **B_GOOD), order("5")]
    assert counts(consume(Holding, *values)) == {"written": 3, "failed": 2}
    assert stored() == ["1", "4", "5"]
    assert failures("offset", "reason") == [(1, "refused"), (2, "held_back")]
    assert "orders[0]@1, an earlier record of the same key" in failures("message")[1]


def test_it_is_the_first_failure_of_a_key_that_holds_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Holding, "batch", BatchPolicy(max_wait=0))
    consume(Holding, *(order(f"{n}", **each) for n, each in enumerate([A_BAD, A_GOOD, A_BAD, A_GOOD])))
    assert failures("reason") == ["refused", "held_back", "refused", "held_back"]
    assert all("orders[0]@0, an earlier record" in message for message in failures("message")[1::2])
    assert stored() == []


def test_by_default_they_pass() -> None:
    consume(Passing, order("1", **A_BAD), order("2", **A_GOOD))
    assert stored() == ["2"]


def test_a_row_that_the_table_refuses_holds_back_too_and_has_no_effect_behind_it() -> None:
    values = [order("1", note="a", quantity=0), order("2", **A_GOOD), order("3", **B_GOOD)]
    Holding.batch, before = BatchPolicy(max_wait=0), Holding.batch
    try:
        assert counts(consume(Holding, *values)) == {"written": 1, "failed": 2}
    finally:
        Holding.batch = before
    assert failures("offset", "reason") == [(0, "constraint"), (1, "held_back")]
    assert stored() == ["3"]
    assert ledger() == {"next_offset": 3, "received": 3, "written": 1, "failed": 2}


def test_a_chain_of_rows_that_the_table_refuses_is_found_in_one_settlement() -> None:
    bad = [order(f"{n}", note=f"k{n}", quantity=0) for n in range(3)]
    behind = [order(f"b{n}", note=f"k{n}") for n in range(3)]
    counts_ = counts(consume(Holding, *bad, *behind, order("z", note="z")))
    assert counts_ == {"written": 1, "failed": 6}


def test_another_partition_is_another_order() -> None:
    log = MemoryLog({TOPIC: 2})
    log.append(TOPIC, order("1", **A_BAD))
    log.append(TOPIC, order("2", **A_GOOD), partition=1)
    run_consumer(Holding, log)
    assert stored() == ["2"]


def test_once_the_first_is_resolved_the_others_follow_in_order() -> None:
    consume(Holding, order("1", **A_BAD), *(order(f"{n}", **A_GOOD) for n in range(2, 7)))
    Holding.refuses = False
    assert reprocess(Selection(), by="test").resolved == 6
    assert Holding.effects == ["1", "2", "3", "4", "5", "6"]


def test_reprocessing_one_of_them_alone_does_not_let_it_pass() -> None:
    consume(Holding, order("1", **A_BAD), order("2", **A_GOOD))
    second = FailedRecord.objects.get(offset=1)
    assert reprocess(Selection(ids=(second.pk,)), by="test").by_reason == {"held_back": 1}
    assert stored() == []
    second.refresh_from_db()
    assert (second.attempts, second.status) == (2, "pending")


def test_a_discarded_record_holds_nothing_back_and_the_watch_finds_what_it_held() -> None:
    consume(Holding, order("1", **A_BAD), order("2", **A_GOOD), order("3", **A_GOOD))
    assert release_due("default") == 0
    FailedRecord.objects.filter(offset=0).update(status=FailedRecord.Status.DISCARDED)
    assert release_due("default") == 1
    assert list(FailedRecord.objects.exclude(retry_after=None).values_list("offset", flat=True)) == [1]
    assert reprocess(Selection(), by="test").resolved == 2


def test_records_read_again_are_held_back_by_what_failed_before_them() -> None:
    values = [order("1", **A_BAD), order("2", **A_GOOD)]
    consume(Holding, *values)
    move_back()
    consume(Holding, *values)
    assert failures("offset", "reason", "attempts") == [(0, "refused", 2), (1, "held_back", 2)]
    assert stored() == []


def test_records_read_again_that_go_well_now_are_held_back_no_more() -> None:
    values = [order("1", **A_BAD), order("2", **A_GOOD), order("3", **A_GOOD)]
    consume(Holding, *values)
    move_back()
    Holding.refuses = False
    assert counts(consume(Holding, *values)) == {"written": 3}
    assert Holding.effects == ["1", "2", "3"]
    assert failures("status", "resolved_by") == [("resolved", "redelivery")] * 3


def test_failures_of_another_group_hold_nothing_back() -> None:
    log = log_of(order("1", **A_BAD), order("2"), order("3", **A_GOOD))
    run_consumer(Holding, log, options=RunOptions(group="other", until_end=True))
    assert failures("offset") == [0, 2]
    Holding.refuses = False
    assert counts(run_consumer(Holding, log)) == {"written": 2, "duplicates": 1}
    assert stored() == ["1", "2", "3"]


def test_being_held_back_does_not_count_for_the_loop_guard() -> None:
    consume(Holding, order("1", **A_BAD), order("2", **A_GOOD))
    second = FailedRecord.objects.get(offset=1)
    for _ in range(12):
        reprocess(Selection(ids=(second.pk,)), by="test")
    Holding.refuses = False
    reprocess(Selection(reason="refused"), by="test")
    assert release_due(engine_settings().database) == 1


def test_a_key_is_the_same_in_every_process() -> None:
    consume(Holding, order("1", **A_BAD))
    assert failures("order_key") == ["b444837d02102b0f7bc7574403529e4d"]
