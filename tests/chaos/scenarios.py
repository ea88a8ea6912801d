"""Rounds of their own for what is lost by somebody else's hand: the records are gone, and `reconcile` must say so."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient

from consumers.kafka.producer import RecordProducer
from consumers.kafka.quiet import QuietLogger
from tests.chaos.journal import CLICKS
from tests.chaos.rounds import PARTITIONS, made_site
from tests.chaos.servers import Servers
from tests.e2e.clicks import clicks, event_ids
from tests.e2e.harness import Site

Scenario = Callable[[Site, AdminClient], list[str]]


def play(servers: Servers, folder: Path) -> dict[str, list[str]]:
    """By scenario, what was wrong."""
    admin = AdminClient({"bootstrap.servers": servers.direct.bootstrap_servers}, logger=QuietLogger())
    played = {}
    for scenario in SCENARIOS:
        name = scenario.__name__
        with made_site(servers, folder, f"chaos-{name}.") as site:
            played[name] = scenario(site, admin)
    return played


def topic_made_anew(site: Site, admin: AdminClient) -> list[str]:
    """The ledger points behind the end of the new log. The consumer stops and says so, before it passes over the new
    records; after a seek to the beginning every one of them is in the table."""
    old, new = clicks(600, 1), clicks(120, 2)
    site.send(CLICKS, old)
    wrong = _expect("the first run", site.consume("clicks").code, 0)
    _make_anew(site, admin)
    site.send(CLICKS, new)

    stopped = site.consume("clicks")
    wrong += _expect("the run on the new topic", stopped.code, 1)
    wrong += _expect("what it says", "the topic was made anew" in stopped.err, True)
    wrong += _says(site, "the topic was made anew")
    seek = ("seek", "--group", site.group, "--topic", site.prefix + CLICKS, "--to-beginning")
    wrong += _expect("the seek", site.run(*seek).code, 0)
    wrong += _expect("the run after the seek", site.consume("clicks").code, 0)
    return wrong + _rows(site, event_ids(old) | event_ids(new))


def topic_made_anew_under_a_live_consumer(site: Site, admin: AdminClient) -> list[str]:
    """The same, noticed while it happens: the process stops by itself."""
    old, new = clicks(600, 5), clicks(60, 6)
    site.send(CLICKS, old)
    consumer = site.consumer("clicks")
    site.settled(len(old))
    _make_anew(site, admin)
    site.send(CLICKS, new)
    stopped = consumer.end()
    wrong = _expect("the consumer's exit code", stopped.code, 1)
    wrong += _expect("what it says", "the topic was made anew" in stopped.err, True)
    return wrong + _rows(site, event_ids(old))


def removed_by_retention(site: Site, admin: AdminClient) -> list[str]:
    """The log begins behind the ledger. Each partition's missing offsets are counted and named."""
    each = 200
    values = clicks(each * PARTITIONS, 3)
    with RecordProducer(site.servers.bootstrap_servers) as producer:
        for number, value in enumerate(values):
            producer.send(site.prefix + CLICKS, value, partition=number % PARTITIONS)
    wrong = _expect("the first run", site.consume("clicks", "--max-records", "300", "--chunk-size", "50").code, 0)
    stood = site.positions()
    removed = {partition: min(at + 20, each) for partition, at in stood.items()}
    before = [ClientPartition(site.prefix + CLICKS, partition, offset) for partition, offset in removed.items()]
    for deleted in admin.delete_records(before).values():
        deleted.result(30)

    wrong += _expect("the second run", site.consume("clicks").code, 0)
    lost = sum(removed[partition] - at for partition, at in stood.items())
    missing = site.one("SELECT sum(missing) FROM consumers_partitionledger")
    wrong += _expect("missing offsets in the ledger", missing, lost)
    wrong += _expect("records received", site.ledger()[0], len(values) - lost)
    return wrong + _says(site, "removed by retention")


def row_deleted_by_hand(site: Site, admin: AdminClient) -> list[str]:
    site.send(CLICKS, clicks(300, 4))
    wrong = _expect("the run", site.consume("clicks").code, 0)
    wrong += _expect("reconcile before", site.run("reconcile").code, 0)
    site.query("DELETE FROM ads_click WHERE event_id = (SELECT min(event_id::text)::uuid FROM ads_click)")
    return wrong + _says(site, "1 rows that were written are not in the table")


SCENARIOS: tuple[Scenario, ...] = (
    topic_made_anew,
    topic_made_anew_under_a_live_consumer,
    removed_by_retention,
    row_deleted_by_hand,
)


def _make_anew(site: Site, admin: AdminClient) -> None:
    site.forget_topics()
    with RecordProducer(site.servers.bootstrap_servers) as producer:
        for _ in range(100):  # the broker deletes in its own time
            try:
                if producer.ensure_topic(site.prefix + CLICKS, PARTITIONS):
                    return
            except (KafkaException, TimeoutError):
                pass
            time.sleep(0.1)
    raise AssertionError("the topic was not deleted")


def _says(site: Site, text: str) -> list[str]:
    done = site.run("reconcile")
    return _expect("reconcile's exit code", done.code, 1) + (
        [] if text in done.out else [f"reconcile does not say {text!r}: {done.out[-1500:]}"]
    )


def _rows(site: Site, expected: set[str]) -> list[str]:
    rows = {str(row[0]) for row in site.query("SELECT event_id FROM ads_click")}
    return _expect("clicks in the table", len(rows), len(expected)) + _expect("their ids", rows == expected, True)


def _expect(what: str, found: object, wanted: object) -> list[str]:
    return [] if found == wanted else [f"{what}: {found}, not {wanted}"]
