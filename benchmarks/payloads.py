"""The records of each shape, made up: the same ones in every run."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from demo.generate import Clicks, Shares, sample_campaigns
from demo.samples import seed

SEED = 5
MEGABYTE = 1_000_000
POISON = "poison"
"""What the benchmark's database refuses in a URL, in the shape that asks for it."""

_ID = b'"event_id":"'
_PATTERNS = 500


def clicks(records: int, shares: Shares | None = None, first_seed: int = SEED) -> Iterator[bytes]:
    """Clicks on the sample's campaigns, with such shares of repeats and bad ones."""
    return Clicks(first_seed, sample_campaigns()).records((shares or Shares()).counts(records))


def poisoned(records: int, every: int) -> Iterator[bytes]:
    """Clicks that pass validation; one in `every` has a URL that the table refuses."""
    for number, value in enumerate(clicks(records)):
        yield value.replace(b"/offers/", f"/{POISON}/".encode()) if number % every == every // 2 else value


def large(records: int, size: int = MEGABYTE) -> Iterator[bytes]:
    """Clicks that bring an unknown field along, so that each is `size` bytes."""
    for value in clicks(records):
        head = value[:-1] + b',"page":"'
        yield head + b"x" * (size - len(head) - 2) + b'"}'


def numbered(records: int) -> Iterator[bytes]:
    """Clicks whose ids alone are made for each: millions of them in no time. They are on many campaigns, which are the
    records' keys, so that no partition has them all."""
    patterns = [(head, rest[36:]) for head, _, rest in (click.partition(_ID) for click in clicks(_PATTERNS))]
    for number in range(records):
        digits = f"{number * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF:016x}{number:016x}"  # spread over the index
        name = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        head, tail = patterns[number % _PATTERNS]
        yield b"%b%b%b%b" % (head, _ID, name.encode(), tail)


def payments(records: int, repeats: float = 0.01) -> Iterator[bytes]:
    """Payments of the sample's advertisers, with a share of exact repeats, which the consumer has to compare."""
    rng = random.Random(SEED)  # noqa: S311 - repeatable on purpose
    advertisers = [entry["id"] for entry in seed("advertisers") if not entry.get("late")]
    number = 0
    for _ in range(records):
        if number and rng.random() < repeats:
            yield payment(rng.randint(1, number), advertisers)
        else:
            number += 1
            yield payment(number, advertisers)


def payment(number: int, advertisers: Sequence[int]) -> bytes:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number % 2_592_000)
    event = {
        "transaction_id": f"bench-{number:012}",
        "advertiser_id": advertisers[number * 7919 % len(advertisers)],
        "kind": "refund" if number % 20 == 0 else "charge",
        "amount": f"{number % 90_000 + 1}.{number % 100:02}",
        "currency": ("EUR", "GBP", "USD")[number % 3],
        "occurred_at": at.isoformat(),
        "method": "card",
        "reference": f"invoice {number}",
    }
    return json.dumps(event, separators=(",", ":")).encode()
