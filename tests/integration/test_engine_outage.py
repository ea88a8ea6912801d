"""An outage of the database or the broker never fails a record: the chunk is held and goes on afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from psycopg.errors import lookup

from consumers.core.errors import DrainTimedOut, TransientError
from consumers.core.policies import BatchPolicy
from consumers.engine import hold
from consumers.models import FailedRecord
from consumers.testing import MemorySource
from tests.integration.engine import AT_ONCE, P0, Harness, consume, counts, ledger, log_of, wait_until
from tests.makers import order
from tests.orders import TOPIC, Order, OrderConsumer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold.Holder.__init__, "__defaults__", (AT_ONCE,))


def database_error(sqlstate: str) -> Exception:
    error = OperationalError("no")
    error.__cause__ = lookup(sqlstate)("no")
    return error


class Outage:
    """While it lasts, statements that hold a given text fail."""

    def __init__(self, text: str, error: Exception, times: float = float("inf")) -> None:
        self._text, self._error = text, error
        self.left = times
        self.refused = 0

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if self._text in sql and self.left > 0:
            self.left -= 1
            self.refused += 1
            raise self._error
        return execute(sql, params, many, context)


@contextmanager
def outage(text: str, error: Exception, times: float = float("inf")) -> Iterator[Outage]:
    trouble = Outage(text, error, times)
    with connection.execute_wrapper(trouble):
        yield trouble


ERRORS = {
    "the connection is lost": OperationalError("server closed the connection unexpectedly"),
    "the connection is closed": InterfaceError("connection already closed"),
    "a deadlock": database_error("40P01"),
    "the server shuts down": database_error("57P01"),
    "the disk is full": database_error("53100"),
    "a lock is not to be had": database_error("55P03"),
    "the database turned read-only": database_error("25006"),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS.keys())
@pytest.mark.parametrize(
    "statement",
    [
        'INSERT INTO "tests_order"',
        "INSERT INTO consumers_partitionledger",
        "UPDATE consumers_partitionledger",
        "FOR UPDATE",
    ],
)
def test_a_chunk_is_held_through_an_outage_and_settled_afterwards(error: Exception, statement: str) -> None:
    with outage(statement, error, times=5) as trouble:
        assert counts(consume(OrderConsumer, order(), b"{", order())) == {"written": 2, "failed": 1}
    assert trouble.refused == 5
    assert ledger() == {"next_offset": 3, "received": 3, "written": 2, "failed": 1}
    assert FailedRecord.objects.get().attempts == 1


def test_an_outage_in_the_middle_of_isolation_blames_no_record() -> None:
    class Flaky(OrderConsumer):
        calls = 0

        def on_written(self, rows: Any) -> None:
            Flaky.calls += 1
            if Flaky.calls == 2:
                raise OperationalError("server closed the connection unexpectedly")

    values = [order(quantity=0 if n == 5 else 1) for n in range(8)]
    assert counts(consume(Flaky, *values)) == {"written": 7, "failed": 1}
    assert FailedRecord.objects.get().offset == 5


def test_an_outage_while_prefetching_is_held_too() -> None:
    class Fetches(OrderConsumer):
        def prefetch(self, events: Any) -> list[Order]:
            return list(Order.objects.filter(code="prefetch"))

    with outage('FROM "tests_order"', OperationalError("no"), times=3) as trouble:
        assert counts(consume(Fetches, order())) == {"written": 1}
    assert trouble.refused == 3


def test_an_outage_pauses_the_partitions_and_polling_goes_on() -> None:
    class Small(OrderConsumer):
        batch = BatchPolicy(max_wait=0, max_records=4, chunk_records=2)

    polls: list[int] = []

    class Counting(MemorySource):
        def poll(self, max_records: int, max_bytes: int, timeout: float) -> Any:
            polls.append(max_records)
            return super().poll(max_records, max_bytes, timeout)

    harness = Harness(Small, log_of(*(order() for _ in range(50))))
    harness.source.__class__ = Counting
    with outage('INSERT INTO "tests_order"', OperationalError("no")) as trouble, harness.running():
        wait_until(lambda: all(p.paused for p in harness.runner.partitions) and len(harness.runner.partitions))
        seen = len(polls)
        wait_until(lambda: len(polls) > seen + 1, "polling while paused")
        held = sum(lane.waiting for lane in harness.runner._lanes)
        assert held <= 4 + 4 + 2 * 3
        assert not FailedRecord.objects.exists()
        trouble.left = 0
        wait_until(lambda: harness.settled() == 50)
    assert harness.counts() == {"written": 50}


def test_an_outage_is_visible_while_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness(OrderConsumer, log_of(order()))
    with outage('INSERT INTO "tests_order"', OperationalError("the disk is on fire")) as trouble, harness.running():
        wait_until(lambda: trouble.refused > 3)
        [(what, why)] = harness.runner._holder.holding.items()
        assert (what, why) == ("writing 1 records of orders[0]@0-0", "the disk is on fire")
        trouble.left = 0
        wait_until(lambda: harness.settled() == 1)
        assert not harness.runner._holder.holding
    assert "database outage, holding writing 1 records of orders[0]@0-0" in caplog.text
    assert "database is back after" in caplog.text


def test_a_drain_in_an_outage_ends_at_its_deadline_and_names_what_blocks_it() -> None:
    harness = Harness(OrderConsumer, log_of(order()), drain_timeout=0.2)
    with (
        outage('INSERT INTO "tests_order"', OperationalError("the disk is on fire")) as trouble,
        pytest.raises(DrainTimedOut, match=r"writing 1 records of orders\[0\]@0-0: the disk is on fire"),
        harness.running(),
    ):
        wait_until(lambda: trouble.refused)
    assert ledger() == {}
    assert not Order.objects.exists()


def test_a_chunk_whose_partition_goes_during_an_outage_is_given_up() -> None:
    harness = Harness(OrderConsumer, log_of(order()))
    with outage('INSERT INTO "tests_order"', OperationalError("no")) as trouble, harness.running():
        wait_until(lambda: trouble.refused)
        harness.source.lose(P0)
        wait_until(lambda: not any(lane.waiting for lane in harness.runner._lanes))
    assert ledger() == {}
    assert not FailedRecord.objects.exists()


def test_a_broker_out_of_reach_for_a_commit_costs_nothing() -> None:
    class Unreachable(MemorySource):
        refused = 0

        def commit(self, offsets: Any, **options: Any) -> None:
            if Unreachable.refused < 3:
                Unreachable.refused += 1
                raise TransientError("broker out of reach")
            super().commit(offsets, **options)

    harness = Harness(OrderConsumer, log_of(order()), commit_interval=0.0)
    harness.source.__class__ = Unreachable
    with harness.running():
        wait_until(lambda: harness.log.committed)
    assert harness.log.committed["orders", P0] == (1, "ours")
    assert Unreachable.refused == 3


def test_a_broker_out_of_reach_while_claiming_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unreachable(MemorySource):
        refused = 0

        def committed(self, sources: Any) -> Any:
            if Unreachable.refused < 3:
                Unreachable.refused += 1
                raise TransientError("broker out of reach")
            return super().committed(sources)

    harness = Harness(OrderConsumer, log_of(order()))
    harness.runner._claims._backoff = AT_ONCE
    harness.source.__class__ = Unreachable
    with harness.running():
        wait_until(lambda: harness.settled() == 1)
    assert Unreachable.refused == 3


def test_a_consumer_that_starts_in_an_outage_claims_when_it_ends() -> None:
    harness = Harness(OrderConsumer, log_of(order()))
    with outage("consumers_partitionledger", OperationalError("no")) as trouble, harness.running():
        wait_until(lambda: trouble.refused > 2)
        harness.log.append(TOPIC, order())
        trouble.left = 0
        wait_until(lambda: harness.settled() == 2)
    assert harness.counts() == {"written": 2}
