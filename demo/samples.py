"""The sample that ships with the project: which file goes to which topic, and whom it speaks of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA_DIR = Path(__file__).resolve().parent / "data"


@dataclass(frozen=True)
class Sample:
    """Events of one topic. `consumer` is the name of the consumer that reads them."""

    consumer: str
    topic: str

    @property
    def path(self) -> Path:
        return DATA_DIR / f"{self.consumer}.jsonl.gz"


SAMPLES = {
    sample.consumer: sample
    for sample in (
        Sample("impressions", "ads.impressions"),
        Sample("clicks", "ads.clicks"),
        Sample("payments", "payments.transactions"),
    )
}

KEYS = {
    "ads.impressions": ("campaign_id", "event_id"),
    "ads.clicks": ("campaign_id", "event_id"),
    "payments.transactions": ("advertiser_id", "transaction_id"),
}
"""By topic, the fields whose first one present is the record's key: events of one account stay in order, and a resent
one lands in the same partition."""


def seed(name: str) -> list[dict[str, Any]]:
    """The entries of "advertisers" or "campaigns"; those marked `late` are left out at first."""
    entries: list[dict[str, Any]] = json.loads((DATA_DIR / f"{name}.json").read_text(encoding="utf-8"))
    return entries
