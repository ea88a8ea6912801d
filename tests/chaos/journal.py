"""What was sent, where the broker put it, and what must have become of it."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from consumers.kafka.quiet import QuietLogger
from demo.generate import Clicks, sample_campaigns
from demo.samples import seed as sample_seed
from tests.chaos.servers import POISON

CLICKS, PAYMENTS = "ads.clicks", "payments.transactions"
KINDS = {"valid": 930, "repeat": 25, "unknown": 12, "garbage": 12, "tombstone": 8, "poison": 3, "conflict": 10}
PAUSE = 0.05


@dataclass(eq=False, slots=True)
class Entry:
    """One record. `kind` as in KINDS; `reason` is that of the failed record which it must become, if any."""

    topic: str
    kind: str
    value: bytes | None
    reason: str = ""
    partition: int = -1
    offset: int = -1

    @property
    def place(self) -> str:
        """Where the broker put it."""
        return f"{self.topic}[{self.partition}]@{self.offset}"

    @property
    def event(self) -> dict[str, Any]:
        """What it says; only for what is JSON."""
        event: dict[str, Any] = json.loads(self.value or b"{}")
        return event


class Journal(threading.Thread):
    """Sends clicks and payments, good and bad, at an even pace, and writes down all that it sent."""

    def __init__(self, seed: str, prefix: str, bootstrap_servers: str, rate: int) -> None:
        """`rate` is in records a second. The order and content of records follow from the seed alone."""
        super().__init__(name="journal", daemon=True)
        self.entries: list[Entry] = []
        self.errors: list[str] = []
        self._rng = random.Random(seed)
        self._clicks = Clicks(self._rng.randrange(1 << 30), sample_campaigns())
        self._advertisers = [entry["id"] for entry in sample_seed("advertisers") if not entry.get("late")][:200]
        self._prefix = prefix
        self._rate = rate
        self._valid: dict[str, list[bytes]] = {CLICKS: [], PAYMENTS: []}
        self._number = 0
        self._ended = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.timeout.ms": 180_000,
                "reconnect.backoff.max.ms": 500,
                "enable.metrics.push": False,
            },
            logger=QuietLogger(),
        )

    def run(self) -> None:
        while not self._ended.wait(PAUSE):
            self.send(round(self._rate * PAUSE))

    def end(self) -> None:
        """Send no more, and wait until the broker has all of it."""
        self._ended.set()
        if self.is_alive():
            self.join()
        if left := self._producer.flush(180):
            self.errors.append(f"{left} records were not taken by the broker")

    def send(self, count: int) -> None:
        for _ in range(count):
            topic = CLICKS if self._rng.random() < 0.7 else PAYMENTS
            kind = self._rng.choices(list(KINDS), list(KINDS.values()))[0]
            entry = self._click(kind) if topic == CLICKS else self._payment(kind)
            self._produce(entry)
            if entry.kind == "valid":
                self._valid[topic].append(entry.value or b"")
        self._producer.poll(0)

    def counts(self) -> Counter[str]:
        return Counter(entry.kind for entry in self.entries)

    # ---- making records ---------------------------------------------------------------------------------------------

    def _click(self, kind: str) -> Entry:
        self._number += 1
        if kind == "conflict" or (kind == "repeat" and not self._valid[CLICKS]):
            kind = "valid"  # a click that comes again is a repeat whatever it says
        if kind == "repeat":
            return Entry(CLICKS, kind, self._rng.choice(self._valid[CLICKS]))
        if kind == "unknown":
            return Entry(CLICKS, kind, self._clicks.unknown(self._number), "unknown_campaign")
        if kind == "poison":
            return Entry(CLICKS, kind, _changed(self._clicks.valid(self._number), url=POISON), "constraint")
        return self._bad_or(kind, CLICKS, self._clicks.valid(self._number), "ip")

    def _payment(self, kind: str) -> Entry:
        self._number += 1
        if kind in ("repeat", "conflict") and not self._valid[PAYMENTS]:
            kind = "valid"
        if kind == "repeat":
            return Entry(PAYMENTS, kind, self._rng.choice(self._valid[PAYMENTS]))
        if kind == "conflict":
            earlier = self._rng.choice(self._valid[PAYMENTS])
            return Entry(PAYMENTS, kind, _changed(earlier, reference="changed afterwards"), "conflict")
        if kind == "unknown":
            return Entry(PAYMENTS, kind, self._new_payment(advertiser_id=999_999_999), "unknown_advertiser")
        if kind == "poison":
            return Entry(PAYMENTS, kind, self._new_payment(reference=POISON), "constraint")
        return self._bad_or(kind, PAYMENTS, self._new_payment(), "currency")

    def _bad_or(self, kind: str, topic: str, good: bytes, field: str) -> Entry:
        if kind == "tombstone":
            return Entry(topic, kind, None)
        if kind == "garbage":
            bad = [(good[:-9], "undecodable"), (b"\xff" + good, "undecodable"), (b"[]", "invalid")]
            bad += [(_changed(good, **{field: "\x00"}), "invalid"), (_changed(good, occurred_at=1), "invalid")]
            return Entry(topic, kind, *self._rng.choice(bad))
        return Entry(topic, kind, good)

    def _new_payment(self, **other: Any) -> bytes:
        event = {
            "transaction_id": f"t-{self._number}",
            "advertiser_id": self._rng.choice(self._advertisers),
            "kind": self._rng.choice(("charge", "charge", "refund")),
            "amount": str(Decimal(self._rng.randrange(1, 10**9)).scaleb(-4)),
            "currency": self._rng.choice(("EUR", "USD", "JPY")),
            "occurred_at": "2026-01-01T00:00:00Z",
        }
        return json.dumps(event | other).encode()

    def _produce(self, entry: Entry) -> None:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.errors.append(error.str())
            entry.partition, entry.offset = message.partition() or 0, message.offset() or 0

        self.entries.append(entry)
        key = _key(entry)
        while True:
            try:
                self._producer.produce(self._prefix + entry.topic, entry.value, key=key, on_delivery=delivered)
                return
            except BufferError:
                self._producer.poll(0.1)


def _key(entry: Entry) -> bytes | None:
    """What belongs together goes to one partition: a repeat must find what it repeats, a conflict likewise."""
    if entry.kind in ("garbage", "tombstone"):
        return None
    event = entry.event
    return str(event["campaign_id"] if entry.topic == CLICKS else event["advertiser_id"]).encode()


def _changed(value: bytes, **other: Any) -> bytes:
    return json.dumps(json.loads(value) | other).encode()
