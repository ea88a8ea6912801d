"""A user's mistakes end in a line or two that name the thing at fault, and an exit code that tells whose it is."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from devstack import ports
from tests.e2e.clicks import TOPIC, unknown_clicks
from tests.e2e.conftest import new_database
from tests.e2e.harness import Done, Site

pytestmark = pytest.mark.e2e

# What a message of one or two lines may stand under.
NOT_TOLD = (" INFO ", "usage: ", "SystemCheckError: ", "ERRORS:")
WRONG = 2
STOPPED = 1


@pytest.fixture
def empty(site: Site) -> Site:
    """A site whose topic exists and is empty."""
    site.send(TOPIC, [])
    return site


def assert_refused(done: Done, *texts: str, code: int = WRONG) -> None:
    told = [line for line in done.err.splitlines() if line and not any(word in line for word in NOT_TOLD)]
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    assert 1 <= len([line for line in told if not line.startswith(" ")]) <= 2, done.err
    for text in texts:
        assert text in done.err


@pytest.mark.parametrize(
    ("name", "value", "texts"),
    [
        ("KAFKA_PROPERTIES", "{broken", ["KAFKA_PROPERTIES"]),
        ("KAFKA_PROPERTIES", "[1]", ["KAFKA_PROPERTIES", "JSON object"]),
        ("KAFKA_PROPERTIES", '{"no.such": 1}', ["no.such"]),
        ("KAFKA_PROPERTIES", '{"session.timeout.ms": "soon"}', ["session.timeout.ms"]),
        ("KAFKA_PROPERTIES", '{"enable.auto.commit": true}', ["enable.auto.commit", "must stay"]),
        ("KAFKA_GROUP_PROTOCOL", "modern", ["KAFKA_GROUP_PROTOCOL", "classic or consumer", "modern"]),
        ("CONSUMERS_LANES", "many", ["CONSUMERS_LANES"]),
        ("CONSUMERS_LANES", "0", ["lanes"]),
        ("DATABASE_URL", "mysql://localhost/x", ["DATABASE_URL", "postgres://"]),
        ("DATABASE_URL", "postgres://a:b@localhost:port/x", ["DATABASE_URL"]),
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/x", ["the database does not answer", "DATABASE_URL"]),
    ],
)
def test_a_wrong_setting_is_named(empty: Site, name: str, value: str, texts: list[str]) -> None:
    assert_refused(empty.consume("clicks", **{name: value}), *texts)


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["consume", "klicks"], ["no consumer is registered as 'klicks'", "clicks, impressions, payments"]),
        (["consume"], ["NAME"]),
        (["consume", "clicks", "--max-records", "0"], ["--max-records", "at least 1", "'0'"]),
        (["consume", "clicks", "--chunk-size", "x"], ["--chunk-size", "'x'"]),
        (["consume", "clicks", "--concurrency", "-1"], ["--concurrency"]),
        (["consume_clicks", "--no-such"], ["--no-such"]),
        (["reprocess_failures", "--since", "yesterday"], ["--since", "'yesterday'"]),
        (["reprocess_failures", "--id", "0"], ["--id", "'0'"]),
    ],
)
def test_a_wrong_argument_is_named(site: Site, arguments: list[str], texts: list[str]) -> None:
    assert_refused(site.run(*arguments), *texts)


def test_a_wrong_password_is_told_and_not_shown(empty: Site) -> None:
    parts = urlsplit(empty.database_url)
    wrong = parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":hunter2@")).geturl()
    for command in (["consume_clicks"], ["reprocess_failures"]):
        done = empty.run(*command, DATABASE_URL=wrong)
        assert_refused(done, "the database does not answer", "password authentication failed", "DATABASE_URL")
        assert "hunter2" not in done.err


def test_a_missing_table_is_mended_by_migrate(empty: Site) -> None:
    with new_database(empty.servers) as bare:
        url = urlsplit(empty.database_url)._replace(path=f"/{bare}").geturl()
        for command in (["consume_clicks"], ["reprocess_failures"]):
            assert_refused(empty.run(*command, DATABASE_URL=url), "run manage.py migrate first")


def test_a_missing_topic_is_named_and_not_made(site: Site) -> None:
    assert_refused(site.consume("clicks"), f"topic {site.prefix}ads.clicks does not exist")
    assert_refused(site.consume("clicks"), f"topic {site.prefix}ads.clicks does not exist")


def test_a_broker_that_is_not_there_is_told_of_with_its_address(site: Site) -> None:
    nowhere = f"127.0.0.1:{ports.free_port()}"
    assert_refused(site.consume("clicks", KAFKA_BOOTSTRAP_SERVERS=nowhere), nowhere)


def test_a_flood_of_failures_stops_the_consumer_with_nothing_of_the_chunk_settled(site: Site) -> None:
    site.send(TOPIC, unknown_clicks(3_000), key=b"one")
    done = site.consume("clicks", "--chunk-size", "2500")
    assert_refused(done, "flood guard", "unknown_campaign", "CONSUMERS_FLOOD_GUARD=off", code=STOPPED)
    settled = done.counts[0]
    assert settled < 2_000
    assert site.ledger() == (settled, 0, 0, 0, settled)
    assert sum(site.positions().values()) == sum(site.failures().values()) == settled

    site.consume("clicks", CONSUMERS_FLOOD_GUARD="off").ok()
    assert site.ledger() == (3_000, 0, 0, 0, 3_000)
    assert site.failures() == {"unknown_campaign": 3_000}
