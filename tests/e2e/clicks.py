"""Made-up clicks and what must have become of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from demo.generate import UNKNOWN_CAMPAIGNS, Clicks, Shares, sample_campaigns
from tests.e2e.harness import Site

SHARES = Shares(repeats=0.01, unknown=0.005, garbage=0.005)
TOPIC = "ads.clicks"


def clicks(count: int, seed: int, shares: Shares = SHARES) -> list[bytes]:
    return list(Clicks(seed, sample_campaigns()).records(shares.counts(count)))


def unknown_clicks(count: int, seed: int = 1) -> list[bytes]:
    """Good clicks on ten campaigns that there are not."""
    maker = Clicks(seed, sample_campaigns())
    return [maker.unknown(number) for number in range(count)]


def event_ids(values: Sequence[bytes]) -> set[str]:
    """The ids of those that are good clicks on campaigns that there are."""
    return {event["event_id"] for event in map(_decoded, values) if event is not None}


def assert_books(site: Site, values: Sequence[bytes]) -> None:
    """Every good click is one row, every bad one is one failed record, and the ledger says so to the record."""
    expected = event_ids(values)
    rows = [str(row[0]) for row in site.query("SELECT event_id FROM ads_click")]
    failed = site.one("SELECT count(*) FROM consumers_failedrecord")
    bad = sum(_decoded(value) is None for value in values)

    assert len(rows) == len(set(rows))
    assert set(rows) == expected
    assert failed == bad
    assert site.ledger() == (len(values), len(expected), len(values) - len(expected) - bad, 0, bad)
    assert sum(site.positions().values()) == len(values)


def _decoded(value: bytes) -> dict[str, str] | None:
    try:
        event = msgspec.json.decode(value)
        msgspec.json.decode(value, type=_event_type())
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return event if event["campaign_id"] < UNKNOWN_CAMPAIGNS else None


def _event_type() -> type:
    from ads.events import ClickEvent

    return ClickEvent
