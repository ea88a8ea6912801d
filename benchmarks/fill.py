"""Millions of rows that are in the table before a trial begins, and the way back to them after it."""

from __future__ import annotations

from time import monotonic

from benchmarks.database import Database
from benchmarks.say import say

# Ordered by key, so that the index is made quickly; a fill factor of 70 leaves its pages as full as random inserts
# would, so that the trial's rows do not split every page they touch.
_INSERT = """
    INSERT INTO ads_click (event_id, campaign_id, advertiser_id, occurred_at, ip, user_agent, url, impression_id,
                           user_id, cost, billable, received_at)
    SELECT gen.event_id, campaign.id, campaign.advertiser_id,
           '2025-06-01'::timestamptz + gen.n * interval '1.8 seconds', '192.0.2.1',
           'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
           'https://shop.example/offers/' || gen.n %% 60000, NULL, 'user-' || gen.n %% 50000, campaign.bid, true, now()
    FROM (SELECT gen_random_uuid() AS event_id, n FROM generate_series(1, %s) AS n) AS gen
    JOIN (SELECT id, advertiser_id, bid, row_number() OVER () - 1 AS place, count(*) OVER () AS places
          FROM ads_campaign) AS campaign ON campaign.place = gen.n %% campaign.places
    ORDER BY gen.event_id
"""
_OTHER_INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'ads_click' AND indexname <> %s"
_KEY = "ads_click_pkey"


def fill(database: Database, rows: int) -> None:
    """Put so many clicks into the empty table, indexes included."""
    started = monotonic()
    say(f"  filling the table with {rows:,} rows")
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")  # no foreign key checks: the rows are right
        connection.execute("SET work_mem = '256MB'; SET maintenance_work_mem = '512MB'; SET jit = off")
        connection.execute(f"ALTER INDEX {_KEY} SET (fillfactor = 70)")
        indexes = connection.execute(_OTHER_INDEXES, [_KEY]).fetchall()
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"')
        connection.execute(_INSERT, [rows])
        for _, definition in indexes:
            connection.execute(f"{definition} WITH (fillfactor = 70)")
        connection.execute("VACUUM (ANALYZE) ads_click")
    say(f"  filled in {monotonic() - started:.0f} s")


def remove_new(database: Database, since: float) -> None:
    """Take out the rows that a trial wrote after `since` (seconds since the epoch), and what else it left."""
    with database.connect() as connection:
        connection.execute("DELETE FROM ads_click WHERE received_at >= to_timestamp(%s)", [since])
        connection.execute("DELETE FROM consumers_failedrecord")
        connection.execute("VACUUM ads_click")
        connection.execute("CHECKPOINT")
