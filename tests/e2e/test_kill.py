"""Processes that die, freeze, are told to stop, come and go: every event takes effect exactly once."""

from __future__ import annotations

import json
import random
import signal

import pytest

from tests.e2e.clicks import TOPIC, assert_books, clicks
from tests.e2e.harness import Running, Site, wait_until

pytestmark = pytest.mark.e2e

# A static member is taken back at once after a kill; others are waited for until their session has timed out.
STATIC = {"KAFKA_PROPERTIES": json.dumps({"group.instance.id": "one"})}
SHORT_SESSION = {"KAFKA_PROPERTIES": json.dumps({"session.timeout.ms": 6000})}
BOTH_PROTOCOLS = pytest.mark.parametrize("protocol", ["classic", "consumer"])


def test_killed_at_five_random_moments_every_event_ends_in_its_table_exactly_once(site: Site) -> None:
    values = clicks(20_000, 21)
    site.send(TOPIC, values)
    rng = random.Random(21)

    for records in sorted(rng.randrange(18_000) for _ in range(5)):
        consumer = site.consumer("clicks", "--until-end", "--chunk-size", "100", **STATIC)
        site.settled(max(records, 1 + site.ledger()[0]))
        consumer.kill()

    site.consume("clicks", **STATIC).ok()
    assert_books(site, values)


def test_a_killed_member_is_replaced_once_its_session_has_timed_out(site: Site) -> None:
    # Longer than the client waits for any single answer of the broker.
    slow = {"KAFKA_PROPERTIES": json.dumps({"session.timeout.ms": 12_000})}
    values = clicks(5_000, 22)
    site.send(TOPIC, values)
    first = site.consumer("clicks", "--chunk-size", "50", **slow)
    site.settled(500)
    first.kill()
    site.consume("clicks", **slow).ok()
    assert_books(site, values)


def test_a_client_that_the_broker_has_shut_out_for_good_stops_the_process_instead_of_idling(site: Site) -> None:
    newer = STATIC | {"KAFKA_GROUP_PROTOCOL": "consumer"}
    site.send(TOPIC, clicks(10, 27))
    first = site.consumer("clicks", **newer)
    site.settled(10)
    first.kill()
    # Under this protocol a static member's place is free only once the killed one's session has timed out.
    second = site.consumer("clicks", **newer).end()
    assert second.code == 1
    assert "CommandError: FatalError: the broker client cannot go on: " in second.err
    assert "Traceback" not in second.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_the_broker_learns_how_far_the_ledger_has_come(site: Site, number: int) -> None:
    values = clicks(20_000, 23)
    site.send(TOPIC, values)
    consumer = site.consumer("clicks", "--chunk-size", "100")
    site.settled(1_000)
    consumer.send(number)
    done = consumer.end().ok()

    assert done.counts == site.ledger()
    assert 1_000 <= done.counts[0] < 20_000
    assert site.committed() == site.positions()
    assert site.members() == {}
    site.consume("clicks").ok()
    assert_books(site, values)


def test_a_second_signal_aborts_what_is_in_flight_and_nothing_is_lost(site: Site) -> None:
    values = clicks(3_000, 24)
    site.send(TOPIC, values)
    with site.locked("ads_click"):
        consumer = site.consumer("clicks")
        wait_until(lambda: site.is_waiting_for("ads_click"), "a chunk in flight")
        consumer.send(signal.SIGTERM)
        consumer.says("a second signal aborts")
        consumer.send(signal.SIGTERM)
        done = consumer.end()
    assert done.code == 130
    assert done.counts[0] == site.ledger()[0] == 0
    site.consume("clicks").ok()
    assert_books(site, values)


@BOTH_PROTOCOLS
def test_members_that_join_and_leave_share_the_partitions_and_every_event_counts_once(
    site: Site, protocol: str
) -> None:
    values = clicks(12_000, 25)
    environment = {"KAFKA_GROUP_PROTOCOL": protocol}

    def member() -> Running:
        return site.consumer("clicks", "--chunk-size", "50", **environment)

    def shares(*partitions: int) -> None:
        wait_until(lambda: sorted(site.members().values()) == sorted(partitions), f"members with {partitions}")

    site.send(TOPIC, values[:4_000])
    first = member()
    site.settled(500)
    second = member()
    shares(3, 3)
    site.send(TOPIC, values[4_000:8_000])
    site.settled(5_000)
    first_done = first.drain().ok()
    third = member()
    shares(3, 3)
    site.send(TOPIC, values[8_000:])
    site.settled(12_000)
    done = [first_done, second.drain().ok(), third.drain().ok()]

    assert all(each.counts[0] for each in done)
    assert tuple(map(sum, zip(*(each.counts for each in done), strict=True))) == site.ledger()
    assert_books(site, values)


def test_a_frozen_member_whose_partitions_were_taken_over_writes_nothing_when_it_wakes(site: Site) -> None:
    values = clicks(20_000, 26)
    site.send(TOPIC, values)
    zombie = site.consumer("clicks", "--chunk-size", "50", **SHORT_SESSION)
    site.settled(500)
    freeze_outside_a_transaction(site, zombie)
    before = site.ledger()[0]
    other = site.consume("clicks", **SHORT_SESSION).ok()
    assert other.counts[0] == 20_000 - before

    zombie.send(signal.SIGCONT)
    wait_until(lambda: any(word in zombie.log for word in ("was fenced", "gave up", "lost ")), zombie.log)
    done = zombie.drain().ok()

    assert done.counts[0] == before
    assert_books(site, values)


def freeze_outside_a_transaction(site: Site, process: Running) -> None:
    """Stop it where it holds no lock; one frozen inside a transaction is ended by the server, which takes longer."""
    own = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

    def is_outside() -> bool:
        process.send(signal.SIGSTOP)
        # A COPY waits for the frozen process; all other statements come to their end.
        working = f"{own} AND state = 'active' AND query NOT LIKE 'COPY%%'"
        wait_until(lambda: site.one(working) == 0, "the statements in work")
        outside = site.one(f"{own} AND state <> 'idle'") == 0
        if not outside:
            process.send(signal.SIGCONT)
        return bool(outside)

    wait_until(is_outside, "a moment outside a transaction")
