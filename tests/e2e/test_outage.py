"""Servers that go away and come back: no failed record, nothing lost, and the group stays as it was."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from psycopg import sql

from tests.e2e.clicks import TOPIC, assert_books, clicks
from tests.e2e.conftest import PrivateStack, new_database
from tests.e2e.harness import Running, Site, wait_until

pytestmark = pytest.mark.e2e

MOVED = ("revoked", "lost ", "fenced", "gave up")


@contextmanager
def sending(site: Site, values: Sequence[bytes]) -> Iterator[None]:
    """Send in portions of 500 while the block lasts, and all that is left at its end."""
    portions = [values[start : start + 500] for start in range(0, len(values), 500)]
    ending = threading.Event()

    def send() -> None:
        for portion in portions:
            site.send(TOPIC, portion)
            ending.wait(0.2)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def assert_never_moved(consumer: Running) -> None:
    moved = [line for line in consumer.log.splitlines() if any(word in line for word in MOVED)]
    assert moved == []
    assert consumer.log.count("assigned ") == 1


def test_a_stopped_database_costs_no_record_and_no_rebalance(private_site: Site, private_stack: PrivateStack) -> None:
    site, values = private_site, clicks(10_000, 51)
    site.send(TOPIC, values[:1_000])
    consumer = site.consumer("clicks", "--chunk-size", "100")
    site.settled(500)
    members = site.members()
    with sending(site, values[1_000:]):
        with private_stack.without("postgres"):
            consumer.says("database outage, holding")
        site.settled(1_500)
    site.settled(10_000)

    assert site.members() == members
    assert "database is back" in consumer.log
    assert consumer.drain().ok().counts[0] == 10_000
    assert_never_moved(consumer)
    assert_books(site, values)


def test_a_stopped_broker_costs_no_record(private_site: Site, private_stack: PrivateStack) -> None:
    site, values = private_site, clicks(10_000, 52)
    site.send(TOPIC, values[:5_000])
    consumer = site.consumer("clicks", "--chunk-size", "100")
    site.settled(500)
    with private_stack.without("kafka"):
        consumer.says("broker: ")
        site.settled(1_000)
    site.send(TOPIC, values[5_000:])
    site.settled(10_000)

    assert consumer.drain().ok().counts[0] == 10_000
    assert site.committed() == site.positions()
    assert_books(site, values)


@contextmanager
def frozen(site: Site, consumer: Running) -> Iterator[psycopg.Connection]:
    """While the block lasts the consumer stands still and nobody is connected to its database; gives a connection to
    another one."""
    consumer.send(signal.SIGSTOP)
    site.disconnect()
    with psycopg.connect(site.servers.database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [site.database]
        )
        yield connection
    consumer.send(signal.SIGCONT)


def test_a_database_that_forgets_its_last_commits_costs_no_record_and_doubles_none(site: Site) -> None:
    """As after a fail-over to a replica that was behind: rows and ledger are forgotten together."""
    values, database = clicks(10_000, 55), sql.Identifier(site.database)
    site.send(TOPIC, values)
    consumer = site.consumer("clicks", "--chunk-size", "50")
    site.settled(500)
    with ExitStack() as databases:
        with frozen(site, consumer):
            replica = databases.enter_context(new_database(site.servers, template=site.database))
        site.settled(2_000)
        with frozen(site, consumer) as server:
            server.execute(sql.SQL("DROP DATABASE {}").format(database))
            server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(database, sql.Identifier(replica)))

    done = consumer.end()
    assert done.code == 1
    assert "a chunk does not join on to the ledger" in done.err
    site.consume("clicks").ok()
    assert_books(site, values)


def test_terminated_connections_are_replaced_and_what_they_were_writing_is_written_again(site: Site) -> None:
    values = clicks(5_000, 53)
    site.send(TOPIC, values)
    consumer = site.consumer("clicks", "--until-end", "--chunk-size", "50")
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    for records in (300, 1_000, 2_000, 3_000):
        site.settled(records)
        wait_until(lambda: site.one(f"SELECT count(pg_terminate_backend(pid)) {others}"), "connections to end")
    assert consumer.end().ok().counts[0] == 5_000
    assert "database outage, holding" in consumer.log
    assert_never_moved(consumer)
    assert_books(site, values)


def test_a_consumer_told_to_stop_during_an_outage_settles_what_is_in_flight_once_it_is_over(
    private_site: Site, private_stack: PrivateStack
) -> None:
    site, values = private_site, clicks(10_000, 54)
    site.send(TOPIC, values)
    consumer = site.consumer("clicks", "--chunk-size", "50")
    site.settled(100)
    with private_stack.without("postgres"):
        consumer.send(signal.SIGTERM)
        consumer.says("draining")
    assert consumer.end().ok().counts == site.ledger()
    site.consume("clicks").ok()
    assert_books(site, values)
