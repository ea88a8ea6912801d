"""`manage.py reconcile` on a group that is well, one behind, one that was killed, and a table that lost a row."""

from __future__ import annotations

import pytest

from tests.e2e.clicks import TOPIC, clicks
from tests.e2e.harness import Done, Site

pytestmark = pytest.mark.e2e

QUICK = {"KAFKA_PROPERTIES": '{"session.timeout.ms": 6000}'}


def lag(done: Done) -> int:
    return sum(books["lag"] for books in done.json["partitions"])


def test_the_operators_question_is_answered_in_each_state_of_a_group(site: Site) -> None:
    site.send(TOPIC, clicks(3_000, 81))
    site.consume("clicks", "--max-records", "1000", **QUICK).ok()
    behind = site.run("reconcile", "--json").ok()
    assert lag(behind) == 2_000

    with site.locked("ads_click"):
        process = site.consumer("clicks", **QUICK)
        process.says("assigned")
        process.kill()
    site.consume("clicks", **QUICK).ok()
    healthy = site.run("reconcile", "--json").ok()
    assert lag(healthy) == 0
    assert sum(books["received"] for books in healthy.json["partitions"]) == 3_000
    assert "The books balance." in site.run("reconcile").ok().out

    site.query("DELETE FROM ads_click WHERE event_id = (SELECT event_id FROM ads_click LIMIT 1)")
    robbed = site.run("reconcile")
    assert robbed.code == 1
    assert "1 rows that were written are not in the table any more" in robbed.out
    assert "The books do NOT balance." in robbed.out
