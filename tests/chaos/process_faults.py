"""Faults of consumer processes: killed, told to stop, frozen, joining and leaving."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import psycopg

from tests.chaos.fault import PATIENCE, Act, Fault, Missed, insist, wait_for
from tests.chaos.servers import SESSION_SECONDS
from tests.chaos.victim import (
    AFTER_A_CLAIM,
    AT_A_REVOKE,
    FREEZE,
    IN_FLIGHT,
    IN_REPROCESSING,
    KILL,
    PAUSE,
)

if TYPE_CHECKING:
    from tests.chaos.members import Member
    from tests.chaos.rounds import World

SLOTS = 3
EXTRA = 3
"""The slot of the member that joins and leaves."""
REPROCESSOR = 9


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
    time.sleep(SESSION_SECONDS + 1.0 + fault.lasts)
    member.ask(signal.SIGCONT, "")


def freeze_at(point: str) -> Act:
    """At a named point, until another member has written records of a partition that this one was about to write."""

    def act(world: World, fault: Fault) -> None:
        member = _target(world, fault)
        member.order(FREEZE, point, fault.passes)
        try:
            wait_for(lambda: not member.is_alive or (member.is_frozen and not member.orders.exists()))
            if not member.is_frozen or member.orders.exists():
                raise Missed(f"{point} was not reached")
            if not wait_for(lambda: any(_taken_over(world, *each) for each in member.held)):
                raise Missed(f"nobody took {member.held} over")
        finally:
            member.orders.unlink(missing_ok=True)
            member.ask(signal.SIGCONT, "")

    return act


def _taken_over(world: World, topic: str, partition: int, epoch: int) -> bool:
    """Whether a chunk was settled under a later claim."""
    later = "SELECT count(*) FROM chaos_move WHERE topic = %s AND partition = %s AND epoch > %s"
    try:
        return bool(world.site.one(later, topic, partition, epoch))
    except psycopg.Error:  # another fault has the database
        return False


def pause_in_flight(world: World, fault: Fault) -> None:
    """Its partitions are paused while records of them are under way."""
    member = _target(world, fault)
    member.order(PAUSE, IN_FLIGHT, fault.passes)
    if not wait_for(lambda: not member.is_alive or not member.orders.exists()) or not member.is_alive:
        member.orders.unlink(missing_ok=True)
        raise Missed("nothing was in flight")


def join_and_leave(world: World, fault: Fault) -> None:
    world.members.want(EXTRA)
    time.sleep(2.0 + fault.lasts)
    world.members.dismiss(EXTRA)


def kill_at(point: str) -> Act:
    def act(world: World, fault: Fault) -> None:
        member = _target(world, fault)
        if point == AFTER_A_CLAIM:  # a new process is sure to claim
            member.ask(signal.SIGTERM, "SIGTERM")
            member = _successor(world, fault, member)
        member.order(KILL, point, fault.passes)
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
    insist(world.add_campaign)
    member = world.members.start(REPROCESSOR, "reprocess_failures", "--reason", "unknown_campaign")
    member.order(KILL, IN_REPROCESSING, 0)
    try:
        _await_death(member, IN_REPROCESSING)
    except Missed:
        if member.is_alive:
            member.ask(signal.SIGKILL, "SIGKILL")
        else:
            member.asked = "itself"
        raise
    world.members.start(REPROCESSOR, "reprocess_failures", "--reason", "unknown_campaign").asked = "itself"


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
    if not wait_for(lambda: (world.members.alive(fault.slot) or member) is not member):
        raise Missed(f"slot {fault.slot} was not left")
    return _target(world, fault)


def _await_death(member: Member, point: str) -> None:
    """Wait until an order has been carried out."""
    is_dead = wait_for(lambda: not member.is_alive)
    # Another fault may have sent it a SIGTERM meanwhile, and the order met it while it drained.
    if not is_dead or member.asked == "SIGKILL" or member.process.returncode != -signal.SIGKILL:
        member.orders.unlink(missing_ok=True)
        raise Missed(f"{point} was not reached")
    member.asked = f"killed {point}"
