"""What can go wrong, kind by kind. Each fault is a function of the world that returns when the fault has passed."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from tests.chaos.proxy import Mode, Proxy
from tests.chaos.servers import ROLE
from tests.chaos.victim import AFTER_A_CLAIM, AT_A_REVOKE, IN_REPROCESSING, POINTS

if TYPE_CHECKING:
    from tests.chaos.members import Member
    from tests.chaos.rounds import World

SLOTS = 3
EXTRA = 3
"""The slot of the member that joins and leaves."""
REPROCESSOR = 9
PATIENCE = 20.0
TABLES = ("ads_click", "payments_payment", "payments_balance", "consumers_partitionledger", "consumers_failedrecord")


@dataclass(frozen=True)
class Fault:
    """One entry of a schedule. Times in seconds from the round's start; `lasts` means nothing to some kinds."""

    number: int
    at: float
    kind: str
    slot: int
    lasts: float
    passes: int
    table: str

    def __str__(self) -> str:
        return f"#{self.number} at {self.at:.1f} s: {self.kind} (slot {self.slot}, {self.lasts:.1f} s)"


class Missed(Exception):
    """The fault did not come about: its target was not there, or the point was not reached."""


Act = Callable[["World", Fault], None]


# ---- processes ------------------------------------------------------------------------------------------------------


def kill(world: World, fault: Fault) -> None:
    _target(world, fault).ask(signal.SIGKILL, "SIGKILL")


def terminate(world: World, fault: Fault) -> None:
    _target(world, fault).ask(signal.SIGTERM, "SIGTERM")


def abort(world: World, fault: Fault) -> None:
    member = _target(world, fault)
    member.ask(signal.SIGTERM, "SIGTERM twice")
    time.sleep(0.2)
    member.ask(signal.SIGTERM, "SIGTERM twice")


def freeze(world: World, fault: Fault) -> None:
    """Longer than the session: a zombie that wakes up and goes on writing."""
    member = _target(world, fault)
    member.ask(signal.SIGSTOP, "")
    time.sleep(7.0 + fault.lasts)
    member.ask(signal.SIGCONT, "")


def join_and_leave(world: World, fault: Fault) -> None:
    world.members.want(EXTRA)
    time.sleep(4.0 + fault.lasts)
    world.members.dismiss(EXTRA)


def kill_at(point: str) -> Act:
    def act(world: World, fault: Fault) -> None:
        member = _target(world, fault)
        if point == AFTER_A_CLAIM:  # a new process is sure to claim
            member.ask(signal.SIGTERM, "SIGTERM")
            member = _successor(world, fault, member)
        member.order(point, fault.passes)
        if point == AT_A_REVOKE:  # so that there is one
            world.members.want(EXTRA)
        try:
            _await_death(member, point)
        finally:
            if point == AT_A_REVOKE:
                world.members.dismiss(EXTRA)

    return act


def kill_reprocessing(world: World, fault: Fault) -> None:
    """A campaign appears, and the run that would write its clicks is killed before COMMIT; the next one does it."""
    _insist(world.add_campaign)
    member = world.members.start(REPROCESSOR, "reprocess_failures", "--reason", "unknown_campaign")
    member.order(IN_REPROCESSING, 0)
    try:
        _await_death(member, IN_REPROCESSING)
    except Missed:
        member.ask(signal.SIGKILL, "SIGKILL")
        raise
    world.members.start(REPROCESSOR, "reprocess_failures", "--reason", "unknown_campaign").asked = "itself"


# ---- the database ---------------------------------------------------------------------------------------------------


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


# ---- the broker -----------------------------------------------------------------------------------------------------


def stop_kafka(number: int) -> Act:
    def act(world: World, fault: Fault) -> None:
        with _alone(world.servers.at_kafka):
            world.servers.end_kafka(number)
            time.sleep(fault.lasts)
            world.servers.start_kafka()

    return act


# ---- the network ----------------------------------------------------------------------------------------------------


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


def cut(which: str) -> Act:
    def act(world: World, fault: Fault) -> None:
        getattr(world.servers, which).cut()

    return act


def half_close(which: str) -> Act:
    def act(world: World, fault: Fault) -> None:
        getattr(world.servers, which).half_close()

    return act


# ---- helpers --------------------------------------------------------------------------------------------------------


def _target(world: World, fault: Fault) -> Member:
    """The process in the fault's slot: one that has not been told to end."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        member = world.members.alive(fault.slot)
        if member is not None and not member.asked:
            return member
        time.sleep(0.02)
    raise Missed(f"slot {fault.slot} is empty")


def _successor(world: World, fault: Fault, member: Member) -> Member:
    if not _wait(lambda: (world.members.alive(fault.slot) or member) is not member):
        raise Missed(f"slot {fault.slot} was not left")
    return _target(world, fault)


def _await_death(member: Member, point: str) -> None:
    """Wait until an order has been carried out."""
    if not _wait(lambda: not member.is_alive) or member.asked or member.process.returncode != -signal.SIGKILL:
        member.orders.unlink(missing_ok=True)
        raise Missed(f"{point} was not reached")
    member.asked = f"killed {point}"


def _wait(condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _persist(world: World, statement: str) -> None:
    _insist(lambda: world.servers.execute(statement, database=world.site.database))


def _insist(action: Callable[[], object]) -> None:
    """Do it as soon as the database can be reached, whatever else goes on."""
    deadline = time.monotonic() + 60
    while True:
        try:
            action()
            return
        except psycopg.Error:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def _alone(lock: Any) -> Any:
    if not lock.acquire(timeout=PATIENCE):
        raise Missed("the server was busy with another fault")
    try:
        yield
    finally:
        lock.release()


FROZEN, JOINED = "consumer: frozen past its session", "consumer: one joins and leaves"
DATABASE, BROKER = "database_proxy", "broker_proxy"

# By kind: how often it is drawn, relative to the others, and what it does.
KINDS: dict[str, tuple[float, Act]] = {
    "consumer: kill -9": (12, kill),
    "consumer: SIGTERM": (6, terminate),
    "consumer: SIGTERM twice": (2, abort),
    FROZEN: (4, freeze),
    JOINED: (3, join_and_leave),
    **{f"consumer: killed {point}": (3, kill_at(point)) for point in POINTS},
    "reprocessing: killed before COMMIT": (2, kill_reprocessing),
    "database: stopped fast": (2, stop_postgres(signal.SIGINT)),
    "database: stopped immediately": (2, stop_postgres(signal.SIGQUIT)),
    "database: all sessions terminated": (8, end_backends),
    "database: one session terminated": (6, end_one_backend),
    "database: a table locked": (6, lock_table),
    "database: statement timeout": (3, time_out_statements),
    "database: too many connections": (3, refuse_connections),
    "database: disk full": (4, fill_disk),
    "broker: kill -9": (0.7, stop_kafka(signal.SIGKILL)),
    "broker: SIGTERM": (0.5, stop_kafka(signal.SIGTERM)),
    "network to the database: cut": (8, cut(DATABASE)),
    "network to the database: refused": (3, network(DATABASE, Mode.REFUSE)),
    "network to the database: slow": (3, network(DATABASE, Mode.SLOW)),
    "network to the database: black hole": (3, network(DATABASE, Mode.HOLE)),
    "network to the database: answers lost": (5, network(DATABASE, Mode.DEAF)),
    "network to the database: half-closed": (3, half_close(DATABASE)),
    "network to the broker: cut": (6, cut(BROKER)),
    "network to the broker: refused": (3, network(BROKER, Mode.REFUSE)),
    "network to the broker: slow": (3, network(BROKER, Mode.SLOW)),
    "network to the broker: black hole": (3, network(BROKER, Mode.HOLE)),
    "network to the broker: answers lost": (3, network(BROKER, Mode.DEAF)),
    "network to the broker: half-closed": (2, half_close(BROKER)),
}
