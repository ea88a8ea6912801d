"""Sends clicks at an even rate, and notes when some of them, the probes, were sent.

It makes all records first, says "ready" on stdout, waits for a line on stdin, sends, and writes the probes' times as a
JSON list of seconds since the epoch.

Usage: python -m benchmarks.steady TOPIC RATE SECONDS SEED PROBE_EVERY
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence

from benchmarks.payloads import clicks
from consumers.kafka.producer import RecordProducer
from demo.keys import key_of
from demo.samples import KEYS

TICK = 0.002


def main(topic: str, rate: int, seconds: int, seed: int, every: int) -> None:
    records = [(key_of(value, KEYS["ads.clicks"]), value) for value in clicks(rate * seconds, first_seed=seed)]
    # What producers have unless told otherwise. Without any linger the broker takes more processor than all others.
    with RecordProducer(os.environ["KAFKA_BOOTSTRAP_SERVERS"], {"linger.ms": 5}) as producer:
        _say("ready")
        sys.stdin.readline()
        sent = send(producer, topic, records, rate, every)
    _say(json.dumps(sent))


def send(
    producer: RecordProducer, topic: str, records: Sequence[tuple[bytes | None, bytes]], rate: int, every: int
) -> list[float]:
    """Send each record when it is due; returns the times of every `every`-th, from the first on."""
    times: list[float] = []
    started, number = time.time(), 0
    while number < len(records):
        due = min(len(records), int((time.time() - started) * rate) + 1)
        for number in range(number, due):  # noqa: B020  (goes on where it was)
            if number % every == 0:
                times.append(time.time())
            producer.send(topic, records[number][1], key=records[number][0])
        number = due
        time.sleep(TICK)
    return times


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
