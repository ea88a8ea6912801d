"""Clicks made up for tests and measurements: any number, always the same for the same seed, with known defects."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from demo.samples import seed as sample_seed

START = datetime(2026, 1, 1, tzinfo=UTC)
SPAN_SECONDS = 30 * 24 * 3600
UNKNOWN_CAMPAIGNS = 9_000_000_000_000
"""Ids from here on belong to no campaign."""

BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
)


@dataclass(frozen=True)
class Counts:
    """What is sent: `sent` is the sum of the others. A repeat is an earlier valid click, byte for byte."""

    sent: int
    unique_valid: int
    repeats: int
    unknown: int
    garbage: int

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class Shares:
    """Parts of the whole, each from 0 to 1; the rest is valid clicks.

    Raises:
        ValueError: a share is out of range, or they leave no room for a valid click.
    """

    repeats: float = 0.0
    unknown: float = 0.0
    garbage: float = 0.0

    def __post_init__(self) -> None:
        for name, share in asdict(self).items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, not {share}")

    def counts(self, sent: int) -> Counts:
        """The exact numbers for so many records in all."""
        repeats, unknown, garbage = (round(sent * share) for share in (self.repeats, self.unknown, self.garbage))
        valid = sent - repeats - unknown - garbage
        if valid < 0 or (repeats and not valid):
            raise ValueError(f"of {sent} records, {repeats} + {unknown} + {garbage} leave too few valid clicks")
        return Counts(sent=sent, unique_valid=valid, repeats=repeats, unknown=unknown, garbage=garbage)


class Clicks:
    """Made-up clicks on given campaigns. Every value follows from the seed and a number alone."""

    def __init__(self, seed: int, campaigns: Sequence[int]) -> None:
        self.seed = seed
        self.campaigns = campaigns

    def records(self, counts: Counts) -> Iterator[bytes]:
        """The payloads in the order of sending: so many as `counts` says of each kind, well mixed."""
        rng = random.Random(self.seed)  # noqa: S311 - repeatable on purpose
        seen = unknown = garbage = 0
        for kind in _mixed(counts, rng):
            if kind == "valid":
                seen += 1
                yield self.valid(seen)
            elif kind == "repeat":
                yield self.valid(rng.randint(1, seen))
            elif kind == "unknown":
                unknown += 1
                yield self.unknown(unknown)
            else:
                garbage += 1
                yield self.garbage(garbage)

    def valid(self, number: int) -> bytes:
        digest = self._digest("valid", number)
        return _encode(_event(digest, self.campaigns[int.from_bytes(digest[:4]) % len(self.campaigns)]))

    def unknown(self, number: int) -> bytes:
        """A good click on a campaign that there is not."""
        digest = self._digest("unknown", number)
        return _encode(_event(digest, UNKNOWN_CAMPAIGNS + digest[0] % 10))

    def garbage(self, number: int) -> bytes:
        """What no consumer can take, of one kind after the other: broken text, then good JSON with bad values."""
        digest = self._digest("garbage", number)
        event = _event(digest, self.campaigns[0])
        good = _encode(event)
        kinds = (
            good[: len(good) // 2],
            b"\xff\xfe" + good,
            b"not json at all",
            _encode({name: value for name, value in event.items() if name != "campaign_id"}),
            _encode(event | {"campaign_id": str(event["campaign_id"])}),
            _encode(event | {"occurred_at": "yesterday"}),
            _encode(event | {"ip": "999.1.1.1"}),
        )
        return kinds[number % len(kinds)]

    def _digest(self, kind: str, number: int) -> bytes:
        return blake2b(f"{self.seed}/{kind}/{number}".encode(), digest_size=32).digest()


def sample_campaigns() -> list[int]:
    """The campaigns that `load_sample` brings in at first."""
    return [entry["id"] for entry in sample_seed("campaigns") if not entry.get("late")]


def _mixed(counts: Counts, rng: random.Random) -> list[str]:
    """The kinds in random order, a valid one before the first repeat."""
    kinds = ["valid"] * counts.unique_valid
    kinds += ["repeat"] * counts.repeats + ["unknown"] * counts.unknown + ["garbage"] * counts.garbage
    rng.shuffle(kinds)
    if counts.repeats:
        first = kinds.index("valid")
        kinds[0], kinds[first] = kinds[first], kinds[0]
    return kinds


def _event(digest: bytes, campaign_id: int) -> dict[str, object]:
    at = START + timedelta(seconds=int.from_bytes(digest[4:8]) % SPAN_SECONDS, milliseconds=digest[8] * 3)
    return {
        "event_id": str(uuid.UUID(bytes=digest[:16], version=4)),
        "campaign_id": campaign_id,
        "occurred_at": at.isoformat(),
        "ip": f"198.51.100.{digest[9]}",
        "user_agent": BROWSERS[digest[10] % len(BROWSERS)],
        "url": f"https://shop.example/offers/{int.from_bytes(digest[11:13])}",
        "user_id": f"user-{int.from_bytes(digest[13:16]) % 50_000}",
    }


def _encode(event: dict[str, object]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()
