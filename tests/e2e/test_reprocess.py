"""Failed records that become rows once what they lacked is there."""

from __future__ import annotations

import pytest

from demo.generate import UNKNOWN_CAMPAIGNS, Shares
from tests.e2e.clicks import TOPIC, clicks, unknown_clicks
from tests.e2e.harness import Done, Site, wait_until

pytestmark = pytest.mark.e2e

QUICK = {"KAFKA_GROUP_PROTOCOL": "consumer"}


@pytest.fixture
def failed(site: Site) -> Site:
    """A site with 100 good clicks in the table and 400 failed ones on campaigns that there are not."""
    site.send(TOPIC, clicks(100, 41, shares=Shares()) + unknown_clicks(400))
    assert site.consume("clicks", CONSUMERS_FLOOD_GUARD="off", **QUICK).ok().counts == (500, 100, 0, 0, 400)
    return site


def create_campaigns(site: Site) -> None:
    site.query(
        "INSERT INTO ads_campaign (id, advertiser_id, name, bid, is_active)"
        " SELECT campaign, (SELECT min(id) FROM ads_advertiser), 'late', 0.5, true"
        " FROM generate_series(%s, %s) AS campaign",
        UNKNOWN_CAMPAIGNS,
        UNKNOWN_CAMPAIGNS + 9,
    )


def reprocess(site: Site, *arguments: str) -> Done:
    return site.run("reprocess_failures", "--json", *arguments).ok()


def result(done: Done) -> tuple[int, int, int]:
    return done.json["attempted"], done.json["resolved"], done.json["failed"]


def table(site: Site) -> tuple[int, int, int]:
    """(clicks in the table, failures pending, failures resolved)."""
    return (
        site.one("SELECT count(*) FROM ads_click"),
        sum(site.failures().values()),
        sum(site.failures("resolved").values()),
    )


def test_clicks_on_unknown_campaigns_become_rows_once_the_campaigns_exist_and_only_once(failed: Site) -> None:
    assert result(reprocess(failed)) == (400, 0, 400)
    assert table(failed) == (100, 400, 0)

    create_campaigns(failed)
    assert result(reprocess(failed, "--reason", "unknown_campaign")) == (400, 400, 0)
    assert table(failed) == (500, 0, 400)
    resolved = "SELECT DISTINCT resolved_by, attempts FROM consumers_failedrecord WHERE resolved_at IS NOT NULL"
    assert failed.query(resolved) == [("reprocess_failures", 3)]

    assert result(reprocess(failed)) == (0, 0, 0)
    assert table(failed) == (500, 0, 400)


def test_two_commands_at_once_resolve_each_record_once_and_share_the_work(failed: Site) -> None:
    create_campaigns(failed)
    command = ["reprocess_failures", "--json", "--limit", "200"]
    with failed.locked("ads_click"):
        both = [failed.start(*command), failed.start(*command)]
        wait_until(lambda: failed.is_waiting_for("ads_click") == 2, "both at work")
    assert [result(each.end().ok()) for each in both] == [(200, 200, 0), (200, 200, 0)]
    assert table(failed) == (500, 0, 400)


def test_a_dry_run_says_what_would_happen_and_changes_nothing(failed: Site) -> None:
    create_campaigns(failed)
    everything = "SELECT * FROM consumers_failedrecord ORDER BY id"
    before = failed.query(everything)
    assert result(reprocess(failed, "--dry-run")) == (400, 400, 0)
    assert failed.query(everything) == before
    assert table(failed) == (100, 400, 0)
    assert "nothing was changed" in failed.run("reprocess_failures", "--dry-run").ok().out


def test_a_selection_narrows_down_what_is_attempted(failed: Site) -> None:
    create_campaigns(failed)
    first, second, old = [row[0] for row in failed.query("SELECT id FROM consumers_failedrecord ORDER BY id LIMIT 3")]
    failed.query("UPDATE consumers_failedrecord SET last_failed_at = '2020-06-01T12:00Z' WHERE id = %s", old)

    assert result(reprocess(failed, "--reason", "invalid")) == (0, 0, 0)
    assert result(reprocess(failed, "--topic", "ads.impressions")) == (0, 0, 0)
    assert result(reprocess(failed, "--id", str(first), "--id", str(second))) == (2, 2, 0)
    assert result(reprocess(failed, "--until", "2020-06-01")) == (0, 0, 0)
    assert result(reprocess(failed, "--since", "2020-06-01T12:00", "--until", "2020-06-02")) == (1, 1, 0)
    assert result(reprocess(failed, "--limit", "7")) == (7, 7, 0)
    assert result(reprocess(failed, "--topic", failed.prefix + TOPIC, "--since", "2020-06-02")) == (390, 390, 0)
    assert table(failed) == (500, 0, 400)
