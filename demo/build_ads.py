"""Open Bandit's log as our impressions, clicks, campaigns and advertisers. `demo/data/ATTRIBUTION.md` explains."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

Row = dict[str, Any]

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/st-tech/zr-obp/tree/master/obd")
"""Event ids are derived from it, the file and the row number."""

PAGES = ("all", "men", "women")
"""The three pages of the shop; each is an advertiser here, with the ids 1, 2, 3."""
USER_FEATURES = ("user_feature_0", "user_feature_1", "user_feature_2", "user_feature_3")

EVERY = 2
"""One row in so many is taken, besides all that were clicked."""

LATE = frozenset({1011, 1066, 2007, 2029, 3013, 3044})
"""Real campaigns that the seed leaves out at first: their events fail as `unknown_campaign`, and can be mended."""


class Shown(NamedTuple):
    """One row of the log: an item shown on a page, at one of three positions, by one of two policies."""

    at: datetime
    policy: str
    page: str
    number: int
    item: int
    position: int
    clicked: bool
    user: str

    @property
    def campaign_id(self) -> int:
        """Item ids are the page's own, so the page is a part of the campaign's id."""
        return 1000 * (PAGES.index(self.page) + 1) + self.item

    def event_id(self, kind: str) -> str:
        return str(uuid.uuid5(NAMESPACE, f"{kind}/{self.policy}/{self.page}/{self.number}"))


def read_bandit(tables: Mapping[str, Iterable[Mapping[str, str]]]) -> list[Shown]:
    """All rows of all files ("policy_page"), in the order of time."""
    rows = [row for name, table in tables.items() for row in _read_table(name, table)]
    return sorted(rows, key=attrgetter("at", "policy", "page", "number"))


def _read_table(name: str, table: Iterable[Mapping[str, str]]) -> Iterator[Shown]:
    policy, page = name.split("_")
    for number, row in enumerate(table):
        yield Shown(
            at=datetime.fromisoformat(row["timestamp"]),
            policy=policy,
            page=page,
            number=number,
            item=int(row["item_id"]),
            position=int(row["position"]),
            clicked=row["click"] == "1",
            user="-".join(row[feature][:8] for feature in USER_FEATURES),
        )


def bandit_events(shown: list[Shown]) -> tuple[list[Row], list[Row]]:
    """Impressions and clicks in our wire formats."""
    impressions = [impression(row) for row in shown if row.clicked or row.number % EVERY == 0]
    return impressions, [click(row) for row in shown if row.clicked]


def impression(row: Shown) -> Row:
    return {
        "event_id": row.event_id("impression"),
        "campaign_id": row.campaign_id,
        "occurred_at": row.at.isoformat(),
        "placement": f"{row.page}/{row.position}/{row.policy}",
        "user_id": row.user,
    }


def click(row: Shown) -> Row:
    return {
        "event_id": row.event_id("click"),
        "campaign_id": row.campaign_id,
        "occurred_at": row.at.isoformat(),
        "ip": documentation_address(row.user),
        "user_agent": "",
        "url": f"https://shop.example/{row.page}/{row.item}",
        "impression_id": row.event_id("impression"),
        "user_id": row.user,
    }


def documentation_address(user: str) -> str:
    """An address that belongs to nobody (192.0.2.0/24, RFC 5737), the same for the same group of users."""
    return f"192.0.2.{hashlib.sha256(user.encode()).digest()[0] % 254 + 1}"


def bandit_advertisers() -> list[Row]:
    return [{"id": number, "name": f"Fashion shop, page “{page}”"} for number, page in enumerate(PAGES, start=1)]


def bandit_campaigns(shown: list[Shown]) -> list[Row]:
    """One campaign for each item of each page; its days are the first and the last that the log shows it on."""
    days: dict[int, tuple[Shown, Shown]] = {}
    for row in shown:
        first, _ = days.get(row.campaign_id, (row, row))
        days[row.campaign_id] = first, row
    return [_campaign(number, *days[number]) for number in sorted(days)]


def _campaign(number: int, first: Shown, last: Shown) -> Row:
    entry = {
        "id": number,
        "advertiser_id": PAGES.index(first.page) + 1,
        "name": f"Item {first.item} on “{first.page}”",
        "bid": f"0.{10 + first.item % 40:02}",
        "starts_on": first.at.date().isoformat(),
        "ends_on": last.at.date().isoformat(),
    }
    return entry | ({"late": True} if number in LATE else {})
