"""Events in their wire formats, and the test-only domain's; each with an id of its own."""

from __future__ import annotations

import itertools
import json
import uuid
from typing import Any

_numbers = itertools.count(1)


def click(campaign: Any, **fields: Any) -> bytes:
    """A click of a campaign (the row, or an id), with other values for some fields."""
    event = {
        "event_id": str(uuid.uuid4()),
        "campaign_id": getattr(campaign, "pk", campaign),
        "occurred_at": "2026-03-01T12:00:00Z",
        "ip": "192.0.2.7",
        "user_agent": "agent/1.0",
        "url": "https://example.org/landing",
    }
    return json.dumps(event | fields).encode()


def payment(advertiser: Any, **fields: Any) -> bytes:
    """A charge of 10.00 EUR, with other values for some fields."""
    event = {
        "transaction_id": f"t-{uuid.uuid4()}",
        "advertiser_id": getattr(advertiser, "pk", advertiser),
        "kind": "charge",
        "amount": "10.00",
        "currency": "EUR",
        "occurred_at": "2026-03-01T12:00:00Z",
    }
    return json.dumps(event | fields).encode()


def order(number: str = "", **fields: Any) -> bytes:
    """An order of the test-only domain (see `orders`)."""
    return json.dumps({"number": number or f"n{next(_numbers):06}"} | fields).encode()
