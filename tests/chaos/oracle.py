"""After a round: journal, tables and failed records held against each other. Every difference is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from demo.generate import UNKNOWN_CAMPAIGNS
from tests.chaos import books
from tests.chaos.books import Expected, Failed, Position
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
_FAILED = 'SELECT topic, partition, "offset", reason, status, attempts FROM consumers_failedrecord'


def judge(site: Site, entries: list[Entry], reconciled: Done) -> list[str]:
    """What is wrong, in plain lines; nothing if all is well."""
    campaigns = {row[0]: row[1:] for row in site.query(_CAMPAIGNS)}
    failed = _failed(site)
    payments = _expected_payments(entries)
    return [
        *_table("click", _expected_clicks(entries, campaigns), _rows(site, _CLICKS)),
        *_table("payment", payments, _rows(site, _PAYMENTS)),
        *_failures(entries, failed, set(campaigns)),
        *books.ledger(site, entries, failed),
        *books.moves(site),
        *books.balances(site, payments),
        *_reconciled(reconciled),
        *_sessions(site),
    ]


# ---- rows -----------------------------------------------------------------------------------------------------------


def _expected_clicks(entries: Iterable[Entry], campaigns: Mapping[int, tuple[Any, ...]]) -> Expected:
    expected = {}
    for entry in entries:
        if entry.topic == CLICKS and entry.kind in ("valid", "unknown"):
            event = entry.event
            if event["campaign_id"] in campaigns:
                advertiser, bid, active = campaigns[event["campaign_id"]]
                said = (event["ip"], event["user_agent"], event["url"], event["user_id"])
                moment = datetime.fromisoformat(event["occurred_at"])
                row = (event["campaign_id"], advertiser, moment, *said, bid, active)
                expected[event["event_id"]] = (entry, row)
    return expected


def _expected_payments(entries: Iterable[Entry]) -> Expected:
    expected = {}
    for entry in entries:
        if entry.topic == PAYMENTS and entry.kind == "valid":
            event = entry.event
            row = (
                event["advertiser_id"],
                event["kind"],
                Decimal(event["amount"]),
                event["currency"],
                datetime.fromisoformat(event["occurred_at"]),
                "",
                "",
            )
            expected[event["transaction_id"]] = (entry, row)
    return expected


def _rows(site: Site, statement: str) -> dict[str, tuple[Any, ...]]:
    return {row[0]: row[1:] for row in site.query(statement)}


def _table(what: str, expected: Expected, rows: Mapping[str, tuple[Any, ...]]) -> list[str]:
    def named(keys: Iterable[str]) -> str:
        places = sorted(
            (expected[key][0].topic, expected[key][0].partition, expected[key][0].offset, key) for key in keys
        )
        return ", ".join(f"{topic}[{partition}]@{offset} ({key})" for topic, partition, offset, key in places[:SHOWN])

    found = []
    if lost := expected.keys() - rows.keys():
        found.append(f"MISSING: {len(lost)} {what}s are not in the table: {named(lost)}")
    if strange := sorted(rows.keys() - expected.keys()):
        found.append(f"{len(strange)} {what}s are in the table that ought not to be: {strange[:SHOWN]}")
    if changed := sorted(key for key in expected.keys() & rows.keys() if expected[key][1] != rows[key]):
        key = changed[0]
        found.append(f"{len(changed)} {what}s have other content: {named(changed)}: {rows[key]} for {expected[key][1]}")
    return found


# ---- failures -------------------------------------------------------------------------------------------------------


def _failed(site: Site) -> dict[Position, Failed]:
    return {(t.removeprefix(site.prefix), p, o): Failed(*verdict) for t, p, o, *verdict in site.query(_FAILED)}


def _failures(entries: list[Entry], failed: Mapping[Position, Failed], campaigns: set[int]) -> list[str]:
    found, left = [], dict(failed)
    for entry in entries:
        kept = left.pop((entry.topic, entry.partition, entry.offset), None)
        if wrong := _verdict(entry, kept, _wanted(entry, campaigns)):
            found.append(wrong)
    found += [f"failed record without a record: {key}: {value}" for key, value in left.items()]
    return [*found[:SHOWN], f"{len(found)} failed records are wrong"] if found else []


def _verdict(entry: Entry, kept: Failed | None, wanted: list[tuple[str, str] | None]) -> str:
    """What is wrong with the failed record of an entry, if anything."""
    if kept is None:
        if None in wanted:
            return ""
        return f"MISSING: {entry.place}, {entry.kind}, is not among the failed records, but ought to be as {wanted}"
    if None in wanted and len(wanted) == 1:
        return f"{entry.kind} {entry.place} became a failed record: {kept.reason}, {kept.status}"
    if (kept.reason, kept.status) not in wanted:
        return f"{entry.kind} {entry.place} is kept as {kept.reason}, {kept.status}, not {wanted}"
    if kept.attempts != 1 and entry.reason != "unknown_campaign":
        return f"TWICE: {entry.kind} {entry.place} was kept as failed {kept.attempts} times, but received once"
    return ""


def _wanted(entry: Entry, campaigns: set[int]) -> list[tuple[str, str] | None]:
    """What may stand in the failure store: (reason, status), or None for nothing."""
    if not entry.reason:
        return [None]
    if entry.reason == "unknown_campaign" and entry.event["campaign_id"] in campaigns:
        return [None, (entry.reason, "resolved")]
    return [(entry.reason, "pending")]


# ---- the rest -------------------------------------------------------------------------------------------------------


def _reconciled(done: Done) -> list[str]:
    if done.code == 0 and done.json["balances"]:
        return []
    try:
        report = done.json
        faults = [
            f"{each['topic']}[{each['partition']}]: {fault}"
            for each in report["partitions"]
            for fault in each["faults"]
        ]
        faults += [f"{each['table']}: {fault}" for each in report["tables"] for fault in each["faults"]]
        said = "; ".join(faults)
    except (AssertionError, ValueError):
        said = done.out[-500:] + done.err[-500:]
    return [f"reconcile says no (exit code {done.code}): {said}"]


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
