"""A consumer of clicks on a backlog that never ends. A few times a second it notes in FILE how far it is, and looks in
FILE.limit whether its limit is to be held by hand (a number) or to follow the health (nothing).

The source makes its records as they are asked for, so that no broker takes part: what is looked at is how lanes and the
database get on. All else is the consumer's process as a user runs it. It drains on SIGTERM.

Usage: python -m benchmarks.adapt_consumer PARTITIONS FILE
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import django

from consumers.concurrency import patch_for_command

if __name__ == "__main__":
    patch_for_command(["", "consume"])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()

from ads.models import Campaign
from consumers import registry
from consumers.core.records import Record, TopicPartition
from consumers.core.source import Fetched, Polled
from consumers.database import release_connections
from consumers.engine.health import Health
from consumers.engine.process import ConsumerProcess
from consumers.engine.runner import RunOptions
from consumers.engine.stats import Statistics
from consumers.settings import engine_settings
from consumers.testing import MemoryLog, MemorySource

EVERY = 0.25
_VALUE = (
    b'{"event_id":"%s-%s-%s-%s-%s","campaign_id":%d,"occurred_at":"2025-11-24T10:00:00+00:00","ip":"192.0.2.1",'
    b'"user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",'
    b'"url":"https://shop.example/offers/4711","user_id":"user-4711"}'
)


class EndlessSource(MemorySource):
    """Clicks without end, each new, of known campaigns; spread evenly over the partitions."""

    def __init__(self, topics: Collection[str], group: str, partitions: int, campaigns: list[int]) -> None:
        super().__init__(MemoryLog(dict.fromkeys(topics, partitions)), topics, group)
        self._campaigns = campaigns
        self._random = random.Random(os.urandom(8))  # noqa: S311  (test data)

    def poll(self, max_records: int, max_bytes: int, timeout: float) -> Polled:
        """As the contract says; no more than a fair part from each partition, as a broker would send."""
        open_ = sum(position is not None for position in self._positions.values())
        self._share = max(1, max_records // max(1, open_))
        return super().poll(max_records, max_bytes, timeout)

    def _fetch(self, source: TopicPartition, room: int, max_bytes: int, polled: Polled) -> int:
        position = self._positions[source]
        if position is None or room <= 0:
            return 0
        records = [Record(source, position + n, self._value()) for n in range(min(room, self._share))]
        self._positions[source] = records[-1].offset + 1
        polled.fetched.append(Fetched(source, self._generations[source], records))
        return len(records)

    def _value(self) -> bytes:
        key = b"%032x" % self._random.getrandbits(128)
        campaign = self._campaigns[key[0] % len(self._campaigns)]
        return _VALUE % (key[:8], key[8:12], key[12:16], key[16:20], key[20:], campaign)


def noting(statistics: Statistics, path: Path) -> Callable[[], None]:
    """A task that appends to the file, as lines of JSON: the time, the records settled, and what adapts; and does what
    the other file says of the limit."""
    wanted, health = path.with_suffix(".limit"), _health(statistics)

    def note() -> None:
        done = ""
        with path.open("a", encoding="utf-8") as file:
            while True:
                said = wanted.read_text() if wanted.exists() else ""
                if said != done:
                    done = said
                    health.fix(int(said) if said else None)
                line = {"at": time.time(), "settled": statistics.tally.received, **statistics.adapted()}
                file.write(json.dumps(line) + "\n")
                file.flush()
                time.sleep(EVERY)

    return note


def _health(statistics: Statistics) -> Health:
    if statistics.pace is None:
        raise SystemExit("a runner without a pace")
    return statistics.pace.health


def main(partitions: int, path: Path) -> None:
    campaigns = sorted(Campaign.objects.values_list("pk", flat=True))
    release_connections()

    def source(consumer: Any, group: str) -> EndlessSource:
        return EndlessSource(consumer.topics, group, partitions, campaigns)

    process = ConsumerProcess([registry.get("clicks")], engine_settings(), RunOptions(), source)
    process.run(noting(process.runners[0].statistics, path))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
