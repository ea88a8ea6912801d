"""An installation that others can reach does not start with the settings of a laptop, and no command tells a secret."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from devstack import ports
from tests.e2e.clicks import TOPIC, unknown_clicks
from tests.e2e.harness import CHECKOUT, Done, Site

GOOD = secrets.token_urlsafe(64)
WEAK = "django-insecure-" + "x1y2z3" * 10
# What a developer's own shell or .env may hold.
OWN = dict.fromkeys(("DEPLOYMENT", "SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "HTTPS", "DATABASE_URL"), "")
LOOPBACK = "localhost,127.0.0.1,[::1]"
REMOTE = "postgres://app:marker-secret@db.example.org/events"


def check(folder: Path, **environment: str) -> Done:
    """`manage.py check` with a state folder that is this test's own."""
    given = OWN | {"ALLOWED_HOSTS": LOOPBACK, "DEBUG": "off", "HTTPS": "off", "DEVSTACK_DIR": str(folder)} | environment
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(command, cwd=CHECKOUT, env=os.environ | given, capture_output=True, text=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("environment", "text", "why"),
    [
        ({"HTTPS": "on"}, "SECRET_KEY is not set", "HTTPS is on"),
        ({"DEPLOYMENT": "production"}, "SECRET_KEY is not set", "DEPLOYMENT is production"),
        ({"DATABASE_URL": REMOTE}, "SECRET_KEY is not set", "the database is on another machine, 'db.example.org'"),
        ({"ALLOWED_HOSTS": "a.example.org"}, "SECRET_KEY is not set", "'a.example.org', which is not this machine"),
        ({"ALLOWED_HOSTS": "*", "SECRET_KEY": GOOD}, "ALLOWED_HOSTS is open", "ALLOWED_HOSTS has '*'"),
        ({"ALLOWED_HOSTS": f"{LOOPBACK},*", "SECRET_KEY": GOOD, "HTTPS": "on"}, "ALLOWED_HOSTS is open", "HTTPS is on"),
        ({"DEBUG": "on", "SECRET_KEY": GOOD, "HTTPS": "on"}, "DEBUG is on", "HTTPS is on"),
        ({"SECRET_KEY": WEAK, "HTTPS": "on"}, "made for development", "HTTPS is on"),
        ({"SECRET_KEY": "marker-secret", "HTTPS": "on"}, "too easy to guess", "HTTPS is on"),
        ({"SECRET_KEY": "ab" * 40, "HTTPS": "on"}, "too easy to guess", "HTTPS is on"),
    ],
)
def test_production_refuses_to_start_with(tmp_path: Path, environment: dict[str, str], text: str, why: str) -> None:
    done = check(tmp_path, **environment)
    told = done.err.strip().splitlines()
    assert (done.code, len(told)) == (2, 2), done.err
    assert text in told[0]
    assert why in told[1]
    assert "DEPLOYMENT=local" in told[1]
    assert not {"marker-secret", WEAK, GOOD} & set(done.err.split())
    assert not list(tmp_path.iterdir())  # no secret was made either


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"DEBUG": "on"},
        {"DEPLOYMENT": "local", "ALLOWED_HOSTS": "*", "DATABASE_URL": REMOTE, "DEBUG": "on"},
        {"DATABASE_URL": "postgres://a:b@localhost/x", "ALLOWED_HOSTS": "demo.localhost,[::1]"},
        {"HTTPS": "on", "ALLOWED_HOSTS": "a.example.org", "SECRET_KEY": GOOD, "DATABASE_URL": REMOTE},
        {"DEPLOYMENT": "Production", "SECRET_KEY": GOOD},
    ],
)
def test_these_settings_start(tmp_path: Path, environment: dict[str, str]) -> None:
    done = check(tmp_path, **environment)
    assert done.code == 0, done.err


@pytest.mark.parametrize("password", ["marker/secret", "marker#secret", "marker?secret", "mar[ker-secret"])
def test_a_password_that_breaks_its_url_is_not_told(tmp_path: Path, password: str) -> None:
    done = check(tmp_path, DATABASE_URL=f"postgres://app:{password}@127.0.0.1:5432/events")
    assert done.code == 2
    assert "%2F" in done.err
    assert "mar" not in done.err


def test_a_secret_that_begins_with_a_dollar_sign_is_kept(tmp_path: Path) -> None:
    done = check(tmp_path, HTTPS="on", ALLOWED_HOSTS="a.example.org", SECRET_KEY=f"${GOOD}")
    assert done.code == 0, done.err


# ---- secrets in what commands say -----------------------------------------------------------------------------------

MARKERS = {
    "sasl.password": "marker-sasl",
    "ssl.key.password": "marker-key",
    "ssl.keystore.password": "marker-store",
    "sasl.username": "someone",
    "sasl.mechanism": "PLAIN",
    "security.protocol": "SASL_PLAINTEXT",
}
COMMON = {
    "SECRET_KEY": f"marker-{GOOD}",
    "CONSUMERS_ALERT_WEBHOOK": "http://127.0.0.1:9/marker-hook",
    "CONSUMERS_ALERT_WEBHOOK_SECRET": "marker-webhook",
    "EMAIL_URL": "smtp://someone:marker-mail@127.0.0.1:9",
    "LOG_LEVEL": "DEBUG",
}
SOME = (["consume", "clicks", "--until-end"], ["produce_events", "--generate", "5"], ["doctor"])
ALL = (
    *SOME,
    ["consume", "clicks", "--until-end", "--processes", "1"],
    ["reprocess_failures"],
    ["reconcile"],
    ["seek", "--group", "g", "--topic", TOPIC, "--to-end"],
    ["prune_failures"],
    ["devstack", "status"],
)


@pytest.mark.e2e
def test_no_command_that_fails_tells_a_secret(site: Site) -> None:
    site.send(TOPIC, unknown_clicks(1))
    nowhere = f"127.0.0.1:{ports.free_port()}"
    broken = [
        (ALL, {"DATABASE_URL": f"postgres://app:marker-database@{nowhere}/events"}),
        (ALL, {"KAFKA_BOOTSTRAP_SERVERS": nowhere, "KAFKA_PROPERTIES": json.dumps(MARKERS)}),
        (SOME, {"KAFKA_PROPERTIES": json.dumps(MARKERS | {"session.timeout.ms": "marker-soon"})}),
        (SOME, {"KAFKA_PROPERTIES": json.dumps(MARKERS | {"no.such": "marker-value"})}),
        (SOME, {"KAFKA_PROPERTIES": json.dumps(MARKERS)[:-1]}),
    ]
    for commands, environment in broken:
        started = [(command, site.start(*command, **COMMON, **environment)) for command in commands]
        for command, running in started:
            done = running.end()
            found = [line for line in (done.out + done.err).splitlines() if "marker-" in line]
            assert not found, (command, found[0])
            assert "Traceback" not in done.err, (command, done.err)
