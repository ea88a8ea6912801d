"""TLS and logins, and a role that may do no more than consuming takes: whole commands against servers that insist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.apps import apps

from tests.conftest import missing
from tests.e2e.clicks import TOPIC, assert_books, clicks
from tests.e2e.conftest import template_database
from tests.e2e.harness import CHECKOUT, Done, Running, Site
from tests.e2e.tls_servers import INSTALL, PASSWORD, TlsServers, programs, tls_servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

ROLE, ROLE_PASSWORD = "consumers_app", "marker-database/pass%word"
WEB = "consumers_web"
DOCUMENT = (CHECKOUT / "docs" / "security.md").read_text(encoding="utf-8")
SECRETS = (PASSWORD, ROLE_PASSWORD, "marker-")


def documented_sql(database: str) -> str:
    """All statements of docs/security.md, as one would run them here."""
    statements = "\n".join(re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL))
    assert "ON DATABASE events" in statements
    return statements.replace("ON DATABASE events", f"ON DATABASE {database}").replace("CHANGE-ME", ROLE_PASSWORD)


@pytest.fixture(scope="module")
def guarded() -> Iterator[TlsServers]:
    found = programs()
    if found is None:
        missing(INSTALL)
    with tls_servers(found) as servers:
        yield servers


@pytest.fixture(scope="module")
def database(guarded: TlsServers) -> Iterator[str]:
    """A database made by its owner, with the roles that the document makes in it."""
    with template_database(guarded.direct) as name:
        guarded.execute(documented_sql(name), database=name)
        yield name


@pytest.fixture
def site(guarded: TlsServers, database: str, tmp_path: Path) -> Iterator[Site]:
    """Looked into by the superuser; its commands are told otherwise by `as_role`."""
    made = Site(guarded.direct, database, tmp_path, prefix="")
    yield made
    made.close()


def as_role(guarded: TlsServers, database: str, **more: str) -> dict[str, str]:
    """The environment of a command that connects as the documents say."""
    return {
        "DATABASE_URL": guarded.database_url(ROLE, ROLE_PASSWORD, database, guarded.trusting(guarded.authority)),
        "KAFKA_BOOTSTRAP_SERVERS": guarded.login,
        "KAFKA_PROPERTIES": json.dumps(guarded.by_password()),
        **more,
    }


def assert_no_secret(done: Done) -> None:
    for secret in SECRETS:
        assert secret not in done.out + done.err


def test_events_are_sent_and_consumed_by_password_and_by_certificate_under_a_role_of_few_rights(
    guarded: TlsServers, database: str, site: Site
) -> None:
    by_password = as_role(guarded, database)
    by_certificate = by_password | {
        "KAFKA_BOOTSTRAP_SERVERS": guarded.mutual,
        "KAFKA_PROPERTIES": json.dumps(guarded.by_certificate()),
    }
    values = clicks(3_000, seed=5)
    site.send(TOPIC, values)  # by the listener that is the test's own
    consumed = site.consume("clicks", **by_password).ok()
    assert_books(site, values)

    site.run("produce_events", "--sample", "payments", **by_certificate).ok()
    paid = site.start("consume", "payments", "--until-end", "--json", **by_certificate).end().ok()
    assert paid.json["written"] == site.one("SELECT count(*) FROM payments_payment") > 0
    assert site.one("SELECT count(*) FROM payments_balance") > 0
    for done in (consumed, paid):
        assert_no_secret(done)

    for command in (["reprocess_failures"], ["prune_failures"], ["reconcile", "--group", site.group]):
        assert_no_secret(site.run(*command, **by_password).ok())


def test_the_doctor_finds_nothing_amiss_with_the_connections_and_the_role(
    guarded: TlsServers, database: str, site: Site
) -> None:
    for consumer in ("clicks", "impressions", "payments"):
        site.send({"clicks": TOPIC, "impressions": "ads.impressions", "payments": "payments"}[consumer], [])
    done = site.run("doctor", "--json", **as_role(guarded, database))
    said = {(each["subject"], each["severity"]): each["text"] for each in json.loads(done.out)["findings"]}
    assert said["rights", "ok"] == f"role {ROLE} may do all that consuming takes"
    assert "TLS on" in said["database TLS", "ok"]
    assert "sasl_ssl" in said["broker TLS", "ok"]
    assert_no_secret(done)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM auth_user",
        "SELECT * FROM django_session",
        "DELETE FROM ads_click",
        "UPDATE ads_click SET url = ''",
        "UPDATE ads_campaign SET bid = 0",
        "DROP TABLE ads_click",
        "ALTER TABLE ads_click DISABLE TRIGGER ALL",
        "CREATE TABLE mine ()",
        "CREATE ROLE other",
    ],
)
def test_the_role_may_not(guarded: TlsServers, database: str, statement: str) -> None:
    url = as_role(guarded, database)["DATABASE_URL"]
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)  # type: ignore[arg-type]


def test_the_admins_role_serves_the_login_and_may_not_change_what_people_did(
    guarded: TlsServers, database: str, site: Site
) -> None:
    url = guarded.database_url(WEB, ROLE_PASSWORD, database, guarded.trusting(guarded.authority))
    script = """
from django.contrib.auth.models import User
from django.test import Client
from django.test.utils import setup_test_environment
setup_test_environment()
User.objects.create_superuser("root", password="x")
client = Client()
assert client.login(username="root", password="x")
for page in ("", "consumers/failedrecord/", "consumers/failuregroup/", "consumers/worker/", "ads/click/"):
    assert client.get("/admin/" + page).status_code == 200, page
"""
    assert_no_secret(site.run("shell", "--no-imports", "-c", script, DATABASE_URL=url).ok())
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM django_admin_log")


def test_every_table_of_the_engine_is_in_the_document() -> None:
    for model in apps.get_app_config("consumers").get_models():
        assert re.search(rf"\b{model._meta.db_table}\b", DOCUMENT), model


def test_a_connection_that_is_not_to_be_trusted_ends_in_a_line_that_says_why(
    guarded: TlsServers, database: str, site: Site
) -> None:
    right = as_role(guarded, database)
    site.send(TOPIC, [])
    url, stranger = guarded.database_url, guarded.stranger

    def database_url(password: str, how: str) -> dict[str, str]:
        return {"DATABASE_URL": url(ROLE, password, database, how)}

    def broker(properties: dict[str, str], servers: str = guarded.login) -> dict[str, str]:
        return {"KAFKA_PROPERTIES": json.dumps(properties), "KAFKA_BOOTSTRAP_SERVERS": servers}

    no_certificate = {"security.protocol": "SSL", "ssl.ca.location": str(guarded.authority.file)}
    wrong = [
        ("certificate verify failed", database_url(ROLE_PASSWORD, guarded.trusting(stranger))),
        ("password authentication failed", database_url("marker-wrong", guarded.trusting(guarded.authority))),
        ("no encryption", database_url(ROLE_PASSWORD, "sslmode=disable")),
        ("certificate verify failed", broker(guarded.by_password(authority=stranger))),
        ("SASL authentication error", broker(guarded.by_password("marker-wrong"))),
        ("certificate required", broker(no_certificate, guarded.mutual)),
        ("where the broker wants TLS", broker({}, guarded.mutual)),
    ]
    commands = [(text, _started(site, right | changes)) for text, changes in wrong]
    for text, command in commands:
        done = command.end()
        _assert_told(done, text)
        assert_no_secret(done)


def _started(site: Site, environment: dict[str, str]) -> Running:
    return site.start("consume", "clicks", "--until-end", **environment)


def _assert_told(done: Done, text: str) -> None:
    told = [line for line in done.err.splitlines() if line and " INFO " not in line]
    assert done.code == 2, done.err
    assert len(told) == 1, done.err
    assert text in told[0]
    assert "DATABASE_URL" in told[0] or "KAFKA_PROPERTIES" in told[0]
