"""After a round: journal, tables, failed records and ledger held against each other. Every difference is named."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from demo.generate import UNKNOWN_CAMPAIGNS
from tests.chaos.journal import CLICKS, PAYMENTS, Entry
from tests.chaos.servers import ROLE
from tests.e2e.harness import Done, Site, wait_until

SHOWN = 3

_CLICKS = """
    SELECT event_id::text, campaign_id, advertiser_id, occurred_at, host(ip::inet), user_agent, url, user_id, cost,
           billable
    FROM ads_click
"""
_CAMPAIGNS = """
    SELECT campaign.id, advertiser.id, bid, campaign.is_active AND advertiser.is_active
    FROM ads_campaign AS campaign JOIN ads_advertiser AS advertiser ON advertiser.id = advertiser_id
"""
_PAYMENTS = """
    SELECT transaction_id, advertiser_id, kind, amount, currency, occurred_at, method, reference FROM payments_payment
"""
_LEDGER = """
    SELECT topic, partition, next_offset, received, written, duplicates, skipped, failed, missing
    FROM consumers_partitionledger
"""

Rows = Mapping[str, tuple[Any, ...]]


def judge(site: Site, entries: list[Entry], reconciled: Done) -> list[str]:
    """What is wrong, in plain lines; nothing if all is well."""
    campaigns = {row[0]: row[1:] for row in site.query(_CAMPAIGNS)}
    failed = _failed(site)
    return [
        *_table("click", _expected_clicks(entries, campaigns), _rows(site, _CLICKS)),
        *_table("payment", _expected_payments(entries), _rows(site, _PAYMENTS)),
        *_failures(site, entries, failed, set(campaigns)),
        *_ledger(site, entries, failed),
        *_balances(site, entries),
        *_reconciled(reconciled),
        *_sessions(site),
    ]


# ---- rows -----------------------------------------------------------------------------------------------------------


def _expected_clicks(entries: Iterable[Entry], campaigns: Mapping[int, tuple[Any, ...]]) -> Rows:
    expected = {}
    for entry in entries:
        if entry.topic == CLICKS and entry.kind in ("valid", "unknown"):
            event = entry.event
            if event["campaign_id"] in campaigns:
                advertiser, bid, active = campaigns[event["campaign_id"]]
                said = (event["ip"], event["user_agent"], event["url"], event["user_id"])
                moment = datetime.fromisoformat(event["occurred_at"])
                expected[event["event_id"]] = (event["campaign_id"], advertiser, moment, *said, bid, active)
    return expected


def _expected_payments(entries: Iterable[Entry]) -> Rows:
    expected = {}
    for entry in entries:
        if entry.topic == PAYMENTS and entry.kind == "valid":
            event = entry.event
            expected[event["transaction_id"]] = (
                event["advertiser_id"],
                event["kind"],
                Decimal(event["amount"]),
                event["currency"],
                datetime.fromisoformat(event["occurred_at"]),
                "",
                "",
            )
    return expected


def _rows(site: Site, statement: str) -> Rows:
    return {row[0]: row[1:] for row in site.query(statement)}


def _table(what: str, expected: Rows, rows: Rows) -> list[str]:
    found = []
    if lost := sorted(expected.keys() - rows.keys()):
        found.append(f"MISSING: {len(lost)} {what}s are not in the table: {lost[:SHOWN]}")
    if strange := sorted(rows.keys() - expected.keys()):
        found.append(f"{len(strange)} {what}s are in the table that ought not to be: {strange[:SHOWN]}")
    if changed := sorted(key for key in expected.keys() & rows.keys() if expected[key] != rows[key]):
        key = changed[0]
        found.append(f"{len(changed)} {what}s have other content: {key}: {rows[key]} for {expected[key]}")
    return found


# ---- failures -------------------------------------------------------------------------------------------------------


def _failed(site: Site) -> dict[tuple[str, int, int], tuple[str, str]]:
    statement = 'SELECT topic, partition, "offset", reason, status FROM consumers_failedrecord'
    return {(t.removeprefix(site.prefix), p, o): (reason, status) for t, p, o, reason, status in site.query(statement)}


def _failures(
    site: Site, entries: list[Entry], failed: dict[tuple[str, int, int], tuple[str, str]], campaigns: set[int]
) -> list[str]:
    found, left = [], dict(failed)
    for entry in entries:
        kept = left.pop((entry.topic, entry.partition, entry.offset), None)
        wanted = _wanted(entry, campaigns)
        if kept not in wanted:
            found.append(
                f"{entry.kind} {entry.topic}[{entry.partition}]@{entry.offset}: failed as {kept}, not {wanted}"
            )
    found += [f"failed record without a record: {key}: {value}" for key, value in left.items()]
    return [*found[:SHOWN], f"{len(found)} failed records are wrong"] if found else []


def _wanted(entry: Entry, campaigns: set[int]) -> list[tuple[str, str] | None]:
    """What may stand in the failure store: (reason, status), or None for nothing."""
    if not entry.reason:
        return [None]
    if entry.reason == "unknown_campaign" and entry.event["campaign_id"] in campaigns:
        return [None, (entry.reason, "resolved")]
    return [(entry.reason, "pending")]


# ---- books ----------------------------------------------------------------------------------------------------------


def _ledger(site: Site, entries: list[Entry], failed: Mapping[tuple[str, int, int], object]) -> list[str]:
    kinds: defaultdict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for entry in entries:
        kinds[entry.topic, entry.partition][entry.kind] += 1
    failures = Counter(key[:2] for key in failed)
    found = []
    lines = {(row[0].removeprefix(site.prefix), row[1]): row[2:] for row in site.query(_LEDGER)}
    for source, counts in kinds.items():
        total = counts.total()
        written = total - counts["repeat"] - counts["tombstone"] - failures[source]
        expected = (total, total, written, counts["repeat"], counts["tombstone"], failures[source], 0)
        if lines.get(source) != expected:
            found.append(f"ledger of {source}: {lines.get(source)}, not {expected}")
    return found


def _balances(site: Site, entries: list[Entry]) -> list[str]:
    expected: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for advertiser, kind, amount, currency, *_ in _expected_payments(entries).values():
        expected[advertiser, currency] += amount if kind == "charge" else -amount
    rows = site.query("SELECT advertiser_id, currency, amount FROM payments_balance")
    kept = {(advertiser, currency): amount for advertiser, currency, amount in rows}
    wrong = [key for key in expected.keys() | kept.keys() if kept.get(key) != expected.get(key)]
    return [f"balance of {key}: {kept.get(key)}, not {expected.get(key)}" for key in wrong[:SHOWN]]


def _reconciled(done: Done) -> list[str]:
    if done.code == 0 and done.json["balances"]:
        return []
    return [f"reconcile says no (exit code {done.code}): {done.out[-2000:]} {done.err[-500:]}"]


def _sessions(site: Site) -> list[str]:
    """Nothing outlives its process."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s"
    try:
        wait_until(lambda: site.one(asked, ROLE) == 0, "the consumers' sessions to end", 15)
    except AssertionError:
        return [f"{site.one(asked, ROLE)} database sessions are left behind"]
    return []


def new_campaign(site: Site) -> None:
    """The next of the campaigns that clicks speak of and that there is not."""
    site.query(
        "INSERT INTO ads_campaign (id, advertiser_id, name, bid, is_active) "
        "SELECT greatest(max(id) + 1, %s), (SELECT min(id) FROM ads_advertiser), 'late', 0.5, true FROM ads_campaign",
        UNKNOWN_CAMPAIGNS,
    )
