"""Faults of the database and the broker, and of the network to them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING

import psycopg

from tests.chaos.fault import PATIENCE, Act, Fault, Missed, insist
from tests.chaos.proxy import Ambush, Mode, Proxy
from tests.chaos.servers import ROLE

if TYPE_CHECKING:
    from tests.chaos.rounds import World

DATABASE, BROKER = "database_proxy", "broker_proxy"
TABLES = ("ads_click", "payments_payment", "payments_balance", "consumers_partitionledger", "consumers_failedrecord")


def stop_postgres(number: int) -> Act:
    def act(world: World, fault: Fault) -> None:
        with _alone(world.servers.at_postgres):
            world.servers.end_postgres(number)
            time.sleep(fault.lasts)
            world.servers.start_postgres()

    return act


def end_backends(world: World, fault: Fault) -> None:
    _end_backends(world)


def end_one_backend(world: World, fault: Fault) -> None:
    _end_backends(world, "ORDER BY state <> 'active', pid LIMIT 1")


def lock_table(world: World, fault: Fault) -> None:
    with suppress(psycopg.OperationalError), world.site.locked(fault.table):  # a restart of the server ends it early
        time.sleep(fault.lasts)


def time_out_statements(world: World, fault: Fault) -> None:
    _for_a_while(world, fault, "SET statement_timeout = '3ms'", "RESET statement_timeout")


def refuse_connections(world: World, fault: Fault) -> None:
    _for_a_while(world, fault, "CONNECTION LIMIT 0", "CONNECTION LIMIT -1")


def fill_disk(world: World, fault: Fault) -> None:
    _persist(world, "UPDATE chaos_disk SET is_full = true")
    time.sleep(fault.lasts)
    _persist(world, "UPDATE chaos_disk SET is_full = false")


def _for_a_while(world: World, fault: Fault, how: str, back: str) -> None:
    """Change the consumers' role; sessions that were opened under the change end with it."""
    _persist(world, f"ALTER ROLE {ROLE} {how}")
    _end_backends(world)
    time.sleep(fault.lasts)
    _persist(world, f"ALTER ROLE {ROLE} {back}")
    _end_backends(world)


def _end_backends(world: World, which: str = "") -> None:
    _persist(
        world,
        "SELECT count(pg_terminate_backend(pid)) FROM "
        f"(SELECT pid FROM pg_stat_activity WHERE usename = '{ROLE}' {which}) AS chosen",
    )


def stop_kafka(number: int) -> Act:
    def act(world: World, fault: Fault) -> None:
        with _alone(world.servers.at_kafka):
            world.servers.end_kafka(number)
            time.sleep(fault.lasts)
            world.servers.start_kafka()

    return act


def network(which: str, mode: Mode) -> Act:
    """A spell of misbehaviour. Where bytes were held back, the connections are reset at its end, as a router that
    has forgotten them would do."""

    def act(world: World, fault: Fault) -> None:
        proxy: Proxy = getattr(world.servers, which)
        if mode is Mode.REFUSE:
            proxy.set(mode)
            proxy.cut()
        else:
            proxy.set(mode)
        time.sleep(fault.lasts)
        if mode in (Mode.HOLE, Mode.DEAF):
            proxy.cut()
        proxy.set(Mode.OPEN)

    return act


def lose_commit(*, took: bool) -> Act:
    """One connection breaks exactly in a COMMIT: the chunk is in the database, or it is not, and nobody was told."""

    def act(world: World, fault: Fault) -> None:
        proxy = world.servers.database_proxy
        with _alone(world.servers.at_commit):
            ambush = Ambush(fault.passes, took=took)
            proxy.lay(ambush)
            try:
                if not ambush.done.wait(PATIENCE):
                    raise Missed("no COMMIT came by")
            finally:
                proxy.lay(None)

    return act


def cut(which: str) -> Act:
    def act(world: World, fault: Fault) -> None:
        getattr(world.servers, which).cut()

    return act


def half_close(which: str) -> Act:
    def act(world: World, fault: Fault) -> None:
        getattr(world.servers, which).half_close()

    return act


def _persist(world: World, statement: str) -> None:
    insist(lambda: world.servers.execute(statement, database=world.site.database))


@contextmanager
def _alone(lock: Lock) -> Iterator[None]:
    if not lock.acquire(timeout=PATIENCE):
        raise Missed("the server was busy with another fault")
    try:
        yield
    finally:
        lock.release()
