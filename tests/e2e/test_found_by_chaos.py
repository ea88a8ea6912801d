"""What the chaos suite has found, each as the smallest case that shows it."""

from __future__ import annotations

import pytest

from consumers.kafka.producer import RecordProducer
from tests.e2e.clicks import TOPIC, clicks
from tests.e2e.harness import Site, wait_until

pytestmark = pytest.mark.e2e


def test_sigterm_drains_every_consumer_of_a_process_not_only_the_first(site: Site) -> None:
    site.send(TOPIC, clicks(100, 61))
    site.send("ads.impressions", [b"{}"])
    process = site.start("consume", "clicks", "impressions", "--json", KAFKA_GROUP_PROTOCOL="consumer")
    wait_until(lambda: site.ledger("clicks")[0] == 100 and site.ledger("impressions")[0] == 1, "both at work")
    done = process.drain().ok()
    assert "clicks drained" in done.err
    assert "impressions drained" in done.err


@pytest.mark.parametrize("arguments", [(), ("--until-end",)], ids=["until stopped", "until the end"])
def test_a_topic_made_anew_stops_the_consumer_before_it_passes_over_the_new_records(
    site: Site, arguments: tuple[str, ...]
) -> None:
    make_anew(site, clicks(300, 62), clicks(30, 63))
    done = site.consumer("clicks", *arguments, KAFKA_GROUP_PROTOCOL="consumer").end()
    assert done.code == 1
    assert "the topic was made anew" in done.err
    assert "manage.py seek" in done.err
    assert "Traceback" not in done.err
    assert done.counts[0] == 0


def make_anew(site: Site, before: list[bytes], after: list[bytes]) -> None:
    """Consume a topic, delete it, and make one of the same name with fewer records."""
    site.send(TOPIC, before)
    site.consume("clicks", KAFKA_GROUP_PROTOCOL="consumer").ok()
    site.forget_topics()
    with RecordProducer(site.servers.bootstrap_servers) as producer:
        wait_until(lambda: producer.ensure_topic(site.prefix + TOPIC), "the topic to be gone")
    site.send(TOPIC, after)
