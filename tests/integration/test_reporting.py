"""What a process reports, and how it obeys orders, over an in-memory log and the real database."""

from __future__ import annotations

import json
from datetime import timedelta
from time import time

import pytest
from django.db import connection
from django.utils import timezone

from consumers.core.errors import Flood, Misconfigured
from consumers.core.policies import BatchPolicy
from consumers.engine.partitions import Hold
from consumers.ledger import Ledger
from consumers.models import Control, ControlReply, Worker, WorkerEvent, WorkerSample
from consumers.positions import apply, plan
from consumers.reporting import reporting, why
from consumers.reporting.keeping import prune
from tests.integration.engine import P0, P1, ledger, log_of, wait_until
from tests.integration.reports import Reported, order_control, take_back
from tests.makers import order
from tests.orders import TOPIC, Order, OrderConsumer

pytestmark = pytest.mark.django_db

Kind, State = Control.Kind, ControlReply.State


class Aged(OrderConsumer):
    batch = BatchPolicy(max_wait=0)


def reported(*values: bytes, partitions: int = 2, **changes: object) -> Reported:
    return Reported(log_of(*values, partitions=partitions), Aged, **changes)


def test_a_report_tells_what_was_settled_and_what_is_left(db: None) -> None:
    process = reported(order("a"), b"{", order("a"))
    process.log.append(TOPIC, order("b"), timestamp=round((time() - 90) * 1000), partition=1)
    with process.running():
        process.settles(4)
        wait_until(lambda: all(each.lag == 0 for each in process.report.consumers[0].partitions))
        [consumer] = process.report.consumers

    assert consumer.state == "running"
    assert consumer.tally == {"received": 4, "written": 2, "duplicates": 1, "skipped": 0, "failed": 1}
    assert consumer.failed_by_reason == {"undecodable": 1}
    assert consumer.freshness is not None
    assert 89 < consumer.freshness < 120
    assert consumer.settled_age is not None
    assert [(each.partition, each.state, each.settled) for each in consumer.partitions] == [
        (0, "active", 3),
        (1, "active", 1),
    ]
    assert process.report.state == "stopped"
    report = process.report.as_dict()
    assert json.loads(json.dumps(report)) == report


def test_a_process_has_one_row_that_it_writes_anew_and_events_that_are_written_once(db: None) -> None:
    process = reported(order())
    with process.running():
        process.settles(1)
        process.round()
        process.round()
        assert process.row.state == "running"
        assert process.row.consumers == ["orders"]
        assert process.row.report["consumers"][0]["tally"]["written"] == 1
    process.reporter.end("Flood: too many")

    assert Worker.objects.count() == 1
    assert (process.row.state, process.row.why) == ("failed", "Flood: too many")
    kinds = list(WorkerEvent.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["start", "rebalance", "drain", "stop"]


def test_samples_are_taken_every_few_rounds_and_at_the_end(db: None) -> None:
    process = reported(order(), order())
    with process.running():
        process.settles(2)
        process.round()
        process.round()
        assert WorkerSample.objects.count() == 1
    process.reporter.end()
    assert list(WorkerSample.objects.values_list("consumer", "written").order_by("id"))[-1] == ("orders", 2)


def test_a_row_that_was_forgotten_in_a_long_outage_is_written_again(db: None) -> None:
    process = reported()
    process.round()
    Worker.objects.all().delete()
    process.round()
    assert process.row.pid


def test_reports_of_long_ago_are_forgotten(db: None) -> None:
    process = reported()
    process.round()
    old = timezone.now() - timedelta(days=3)
    gone = Worker.objects.create(host="gone", pid=1, started_at=old, seen_at=old)
    WorkerSample.objects.create(worker=process.row, consumer="orders", at=old)
    WorkerEvent.objects.create(worker=process.row, kind="limit", at=old)
    WorkerEvent.objects.create(worker=gone, kind="limit", at=timezone.now())

    assert prune("default") == 4
    assert [worker.pk for worker in Worker.objects.all()] == [process.reporter.worker]
    assert WorkerSample.objects.count() == 1


def test_a_fault_of_reporting_is_said_once_and_stops_nothing(db: None, caplog: pytest.LogCaptureFixture) -> None:
    process = reported(order())
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE consumers_worker RENAME TO consumers_hidden")
    with process.running():
        for _ in range(3):
            process.reporter._try(process.reporter._round)
        process.settles(1)
    assert Order.objects.count() == 1
    assert caplog.text.count("cannot report to the database") == 1


# ---- orders -------------------------------------------------------------------------------------------------------


def test_a_paused_partition_brings_nothing_until_the_order_is_taken_back(db: None) -> None:
    process = reported(order())
    with process.running():
        process.settles(1)
        pause = order_control(Kind.PAUSE, topic=TOPIC, partition=0)
        assert process.answer(pause, State.DONE) == f"paused {P0}"
        process.log.append(TOPIC, order("late"))
        process.log.append(TOPIC, order("other"), partition=1)
        process.settles(2)
        assert ledger() == {"next_offset": 1, "received": 1, "written": 1}
        assert [each.operator_paused for each in process.report.consumers[0].partitions] == [True, False]

        take_back(pause)
        process.answer(pause, State.LIFTED)
        process.settles(3)
    assert Order.objects.count() == 3


def test_a_process_that_starts_under_an_order_never_reads_what_is_paused(db: None) -> None:
    order_control(Kind.PAUSE, topic=TOPIC)
    process = reported(order(), order(), order())
    with process.running():
        wait_until(lambda: len(process.runner.partitions.in_state(Hold.ACTIVE)) == 2)
        process.round()
        wait_until(lambda: process.report.consumers[0].partitions[0].lag == 3)
        assert process.report.consumers[0].partitions[0].state == "paused"
    assert Order.objects.count() == 0


def test_an_order_that_has_run_out_or_is_meant_for_others_is_not_obeyed(db: None) -> None:
    order_control(Kind.PAUSE, topic=TOPIC, expires_at=timezone.now() - timedelta(seconds=1))
    order_control(Kind.PAUSE, topic=TOPIC, group="another")
    process = reported(order())
    with process.running():
        process.round()
        process.settles(1)


def test_limits_are_held_while_their_orders_stand(db: None) -> None:
    process = reported(order())
    writers = order_control(Kind.WRITERS, value={"value": 500})
    size = order_control(Kind.CHUNK_SIZE, value={"value": 3}, group="orders")
    workers = order_control(Kind.CONCURRENCY, value={"value": 2})
    with process.running():
        process.round()
        ceiling = process.process.health.ceiling
        assert process.report.limiter.limit == ceiling
        assert "500 were asked for" in process.answer(writers, State.DONE)
        [consumer] = process.report.consumers
        assert (consumer.chunk_records, consumer.workers) == (3, 2)

        for each in (writers, size, workers):
            take_back(each)
            process.answer(each, State.LIFTED)
        [consumer] = process.report.consumers
        assert (consumer.chunk_records, consumer.workers) == (
            BatchPolicy().chunk_records,
            OrderConsumer.max_concurrency,
        )
        assert process.report.limiter.is_fixed is False


def test_a_worker_drains_by_order_and_the_order_ends_with_it(db: None) -> None:
    process = reported(order())
    with process.running():
        process.settles(1)
        drain = order_control(Kind.DRAIN, worker=process.reporter.worker)
        process.answer(drain, State.ACCEPTED)
        wait_until(lambda: process.report.state == "stopped")
    process.reporter.end()
    assert ControlReply.objects.get().text == "drained and stopped"
    drain.refresh_from_db()
    assert drain.ended_at is not None


def test_a_dump_tells_where_every_greenlet_is_and_is_made_once(db: None) -> None:
    process = reported()
    with process.running():
        dump = order_control(Kind.DUMP, worker=process.reporter.worker)
        assert "_settle_all" in process.answer(dump, State.DONE)
        process.round()
    assert ControlReply.objects.count() == 1


def test_an_idle_worker_goes_on_where_the_group_was_moved_to(db: None) -> None:
    process = reported(order("a"), order("b"))
    with process.running():
        process.settles(2)
        process.round()
        books = Ledger("orders", "default")
        [control] = apply(books, plan(books, [(P0, 1)]), by="ada", reason="once more")
        process.answer(control, State.DONE)
        process.settles(3)
        assert process.runner.partitions.get(P1) is not None
    assert ledger() == {"next_offset": 2, "received": 2, "written": 2}


def test_a_move_from_before_the_process_began_is_no_order_to_it(db: None) -> None:
    books = Ledger("orders", "default")
    books.claim({P0: 0})
    apply(books, plan(books, [(P0, 0)]), by="ada")
    process = reported(order())
    with process.running():
        process.settles(1)
        process.round()
        process.round()
    assert not ControlReply.objects.exists()


def test_what_stopped_a_process_is_told_in_one_line() -> None:
    group = BaseExceptionGroup("several", [ValueError("first\nsecond"), KeyError("x")])
    assert why(group) == "ValueError: first"
    assert why(BaseExceptionGroup("several", [ValueError("first"), Flood("too many")])) == "Flood: too many"


@pytest.mark.parametrize("interval", [-1.0, 0.1, float("nan")])
def test_an_interval_that_makes_no_sense_is_refused(db: None, interval: float) -> None:
    process = reported(reporting_interval=interval).process
    with pytest.raises(Misconfigured, match="reporting_interval must be 0"), reporting(process):
        pass


def test_with_an_interval_of_0_nothing_runs_beside_the_consumers(db: None) -> None:
    with reporting(reported(reporting_interval=0).process) as tasks:
        assert tasks == []
    assert not Worker.objects.exists()
