"""`reprocess_failures --watch`: failed records that become rows without an operator."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.clicks import TOPIC, unknown_clicks
from tests.e2e.harness import Site, wait_until
from tests.e2e.test_reprocess import QUICK, create_campaigns

pytestmark = pytest.mark.e2e


def test_the_watch_finds_campaigns_that_another_tool_inserts_and_outlives_an_outage_of_the_sessions(site: Site) -> None:
    site.send(TOPIC, unknown_clicks(200))
    assert site.consume("clicks", CONSUMERS_FLOOD_GUARD="off", **QUICK).ok().counts == (200, 0, 0, 0, 200)
    watches = [site.start("reprocess_failures", "--watch", "--interval", "0.2", "--json") for _ in range(2)]
    for watch in watches:
        watch.says("watching for failed records")
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    wait_until(lambda: site.query(f"{others} AND pid <> pg_backend_pid()"), "sessions to end")
    assert sum(site.failures().values()) == 200

    create_campaigns(site)
    wait_until(lambda: not site.failures(), "the parked records to be resolved")
    assert site.one("SELECT count(*) FROM ads_click") == 200

    for watch in watches:
        watch.send(signal.SIGTERM)
    ends = [watch.end().ok() for watch in watches]
    assert sum(end.json["resolved"] for end in ends) == 200
    assert all("Traceback" not in end.err for end in ends)
    by = site.query("SELECT DISTINCT resolved_by FROM consumers_failedrecord")
    assert by == [("reprocess_failures --watch",)]


def test_watching_a_dry_run_makes_no_sense_and_is_said(site: Site) -> None:
    done = site.run("reprocess_failures", "--watch", "--dry-run")
    assert (done.code, "Traceback" in done.err) == (2, False)
    assert "--watch and --dry-run exclude each other" in done.err


@pytest.mark.parametrize("interval", ["0", "-1", "soon", "inf", "nan"])
def test_an_interval_that_makes_no_sense_is_named(site: Site, interval: str) -> None:
    done = site.run("reprocess_failures", "--watch", f"--interval={interval}")
    assert done.code == 2
    assert "must be a number of seconds above 0" in done.err
