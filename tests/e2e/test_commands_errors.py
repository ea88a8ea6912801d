"""A user's mistakes end in a line or two that name the thing at fault, and an exit code that tells whose it is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from devstack import ports
from tests.e2e.clicks import TOPIC, unknown_clicks
from tests.e2e.conftest import new_database
from tests.e2e.harness import Done, Site

pytestmark = pytest.mark.e2e

# What a message of one or two lines may stand under.
NOT_TOLD = (" INFO    ", "usage: ", "SystemCheckError: ", "ERRORS:")
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
        ("KAFKA_PROPERTIES", '{"security.protocol": "ssl"}', ["SSL connection closed by peer", "KAFKA_PROPERTIES"]),
        ("KAFKA_BOOTSTRAP_SERVERS", "no-such-host.invalid:9092", ["no-such-host.invalid", "KAFKA_BOOTSTRAP_SERVERS"]),
        ("CONSUMERS_METRICS_PORT", "many", ["CONSUMERS_METRICS_PORT", "'many'"]),
        ("LOG_FORMAT", "xml", ["LOG_FORMAT", "line or json", "'xml'"]),
        ("CONSUMERS_TRACING", "maybe", ["CONSUMERS_TRACING", "on or off", "'maybe'"]),
        ("HTTPS", "enabled", ["HTTPS", "on or off", "'enabled'"]),
        ("LOG_LEVEL", "LOUD", ["LOG_LEVEL", "WARNING", "'LOUD'"]),
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
        (["consume", "clicks", "--metrics-port", "70000"], ["--metrics-port", "1 to 65535", "'70000'"]),
        (
            ["consume", "clicks", "--metrics-port", "9400", "--metrics-host", "192.0.2.1"],
            ["192.0.2.1", "--metrics-port"],
        ),
        (["consume_clicks", "--no-such"], ["--no-such"]),
        (["doctor", "klicks"], ["no consumer is registered as 'klicks'", "clicks, impressions, payments"]),
        (["seek", "--group", "g", "--topic", "no-such-topic", "--to-end"], ["topic no-such-topic does not exist"]),
        (["seek", "--group", "g", "--topic", "ads.clicks"], ["--to-beginning", "required"]),
        (["produce_events", "/no/such/file", "--topic", "t", "--create"], ["/no/such/file", "No such file"]),
        (["devstack", "sideways"], ["'sideways'", "'up', 'down', 'status'"]),
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


@pytest.mark.parametrize(
    "command",
    [["reconcile"], ["seek", "--group", "g", "--topic", "t", "--to-end"], ["produce_events", "--generate", "5"]],
    ids=lambda command: command[0],
)
def test_a_broker_that_is_not_there_is_told_by_the_other_commands_too(empty: Site, command: list[str]) -> None:
    empty.send(TOPIC, unknown_clicks(1))
    empty.consume("clicks").ok()  # so that there is something to reconcile
    done = empty.run(*command, KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{ports.free_port()}")
    assert_refused(done, code=done.code)
    assert done.code in (STOPPED, WRONG)


@pytest.mark.parametrize("command", ["migrate", "load_sample", "createsuperuser", "doctor", "reconcile"])
def test_a_database_that_is_not_there_is_told_by_every_command(site: Site, command: str) -> None:
    done = site.run(command, DATABASE_URL="postgres://nobody@127.0.0.1:1/x")
    assert done.code in (STOPPED, WRONG)
    assert "Traceback" not in done.err
    assert "Connection refused" in done.err + done.out
    assert "DATABASE_URL" in done.err + done.out


@pytest.fixture
def poor(site: Site) -> Iterator[str]:
    """The URL of the site's database for a role that may only read."""
    role = f"poor_{site.database}"
    site.query(f"CREATE ROLE {role} LOGIN PASSWORD 'hunter2'")
    site.query(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    parts = urlsplit(site.database_url)
    yield parts._replace(netloc=f"{role}:hunter2@{parts.hostname}:{parts.port}").geturl()
    site.query(f"DROP OWNED BY {role}")
    site.query(f"DROP ROLE {role}")


def test_a_role_without_rights_is_told_and_the_doctor_names_the_grant(empty: Site, poor: str) -> None:
    told = ("permission denied for table consumers_partitionledger", "manage.py doctor")
    empty.send(TOPIC, unknown_clicks(1))
    assert_refused(empty.consume("clicks", DATABASE_URL=poor), *told)
    found = empty.run("doctor", "clicks", DATABASE_URL=poor)
    assert found.code == WRONG
    assert 'GRANT INSERT ON "ads_click" TO "poor_' in found.out
    assert "hunter2" not in found.out + found.err


def test_a_port_that_is_taken_is_told(empty: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = (f"127.0.0.1:{port}: Address already in use", "--metrics-port")
        assert_refused(empty.consume("clicks", "--metrics-port", port), *told)
        assert_refused(empty.consume("clicks", "--metrics-port", port, "--processes", "2"), *told)
        own = {"DEVSTACK_DIR": str(empty.folder / "stack"), "DATABASE_URL": "", "KAFKA_BOOTSTRAP_SERVERS": ""}
        done = empty.run("devstack", "up", "--only", "postgres", DEVSTACK_POSTGRES_PORT=port, **own)
        assert_refused(done, f"DEVSTACK_POSTGRES_PORT={port}", "the port is taken by", code=STOPPED)
        assert_refused(empty.run("runserver", "--noreload", port), "port is already in use", code=STOPPED)


@pytest.mark.parametrize(
    ("variable", "command"),
    [
        ("DEVSTACK_DIR", ["devstack", "up", "--only", "postgres"]),
        ("DEVSTACK_DIR", ["demo", "--no-serve"]),
        ("DEVSTACK_CACHE", ["devstack", "up", "--only", "kafka"]),
    ],
)
def test_a_folder_that_cannot_be_written_is_named(site: Site, variable: str, command: list[str]) -> None:
    in_the_way = site.folder / "file"
    in_the_way.touch()
    own = {"DEVSTACK_DIR": str(site.folder / "stack"), "DATABASE_URL": "", "KAFKA_BOOTSTRAP_SERVERS": ""}
    done = site.run(*command, **{**own, variable: str(in_the_way / "folder")})
    assert_refused(done, str(in_the_way), variable, code=STOPPED)


def test_the_help_of_each_command_shows_how_it_is_typed(site: Site) -> None:
    for command in (
        "consume",
        "consume_payments",
        "doctor",
        "reprocess_failures",
        "reconcile",
        "seek",
        "devstack",
        "demo",
    ):
        done = site.run(command, "--help").ok()
        assert f"examples:\n  manage.py {command}" in done.out


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
