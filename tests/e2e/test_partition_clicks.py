"""The table of clicks is partitioned under a consumer at work: nothing is lost, nothing is written twice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.e2e.clicks import TOPIC, assert_books, clicks
from tests.e2e.harness import Site, wait_until

pytestmark = pytest.mark.e2e

BUILDING = "SELECT pid FROM pg_stat_progress_create_index WHERE datname = current_database()"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ads_click_partition_key')"


def test_consumers_go_on_while_the_table_is_partitioned_under_them(site: Site) -> None:
    first, during = clicks(15_000, 81), clicks(15_000, 82)
    rng = random.Random(83)
    site.send(TOPIC, first)
    consumers = [site.consumer("clicks", "--chunk-size", "50") for _ in range(2)]
    site.settled(1_000)

    partitioning = site.start("partition_clicks")
    site.send(TOPIC, during)
    assert "is partitioned by months" in partitioning.end().ok().out
    settled_then = site.ledger()[0]
    rows_then = site.one("SELECT count(*) FROM ads_click")
    # Repeats of what was written before the swap, while it came, and after it.
    after = [*clicks(3_000, 84), *rng.sample(first, 1_500), *rng.sample(during, 1_500)]
    site.send(TOPIC, after)
    site.settled(len(first) + len(during) + len(after))
    done = [consumer.drain().ok() for consumer in consumers]

    assert settled_then < len(first) + len(during), "all was written before the swap: nothing was put to the test"
    assert rows_then > 0
    assert sum(each.counts[0] for each in done) == len(first) + len(during) + len(after)
    assert_books(site, [*first, *during, *after])
    assert site.one("SELECT relkind::text FROM pg_class WHERE oid = 'ads_click'::regclass") == "p"


def test_killed_while_it_builds_the_index_it_begins_anew(site: Site) -> None:
    values = clicks(2_000, 85)
    site.send(TOPIC, values[:1_000])
    site.consume("clicks").ok()

    with writing_clicks(site):
        partitioning = site.start("partition_clicks")
        pid = wait_until(lambda: site.query(BUILDING), "the building of the index")[0][0]
        partitioning.kill()
        second = site.run("partition_clicks")
        site.query("SELECT pg_terminate_backend(%s)", pid)  # where nobody does, it goes on to its end
        wait_until(lambda: not site.query(BUILDING), "the end of the building")
    assert second.code == 1
    assert f"CommandError: the session {pid} is building the index" in second.err
    assert site.query(VALID) == [(False,)]

    assert "is partitioned by months" in site.run("partition_clicks").ok().out
    site.send(TOPIC, values[1_000:])
    site.consume("clicks").ok()
    assert_books(site, values)


@contextmanager
def writing_clicks(site: Site) -> Iterator[None]:
    """While the block lasts, a transaction that has written clicks is open, and no index gets ready."""
    with psycopg.connect(site.database_url) as writer:
        writer.execute("LOCK TABLE ads_click IN ROW EXCLUSIVE MODE")
        yield
