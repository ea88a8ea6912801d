"""A pool of two connections is enough for any number of lanes: they wait for each other, never for the pool."""

from __future__ import annotations

import pytest

from tests.e2e.clicks import TOPIC, assert_books, clicks
from tests.e2e.harness import Site, wait_until

pytestmark = pytest.mark.e2e

SMALL_POOL = {"DATABASE_POOL_SIZE": "2", "CONSUMERS_LANES": "8", "KAFKA_GROUP_PROTOCOL": "consumer"}
POOL_TIMEOUT = 5
"""Seconds that a process waits for a connection of its pool before it calls that an outage (see project.settings)."""


def test_lanes_and_consumers_never_exhaust_a_pool_of_two_even_while_a_lane_waits_for_a_lock(site: Site) -> None:
    values = clicks(4_000, 71)
    site.send(TOPIC, values)
    site.send("ads.impressions", [b"{}"] * 100)
    with site.locked("ads_click"):
        process = site.start("consume", "clicks", "impressions", "--group", site.group, "--json", **SMALL_POOL)
        wait_until(lambda: _waits_longer_than(site, POOL_TIMEOUT + 1), "a lane that waits for the lock")
    site.settled(4_100)
    done = process.drain().ok()
    assert "outage" not in done.err
    assert "pool" not in done.err
    assert site.failures()["invalid"] >= 100
    site.query("DELETE FROM consumers_partitionledger WHERE topic LIKE %s", "%impressions")
    site.query("DELETE FROM consumers_failedattempt")
    site.query("DELETE FROM consumers_failedrecord WHERE topic LIKE %s", "%impressions")
    assert_books(site, values)


def _waits_longer_than(site: Site, seconds: int) -> bool:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND datname = current_database() AND now() - query_start > make_interval(secs => %s)"
    )
    return bool(site.one(waiting, seconds))
