"""Settings that must not meet the world: an installation that others can reach does not start with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.checks.security.base import (
    SECRET_KEY_INSECURE_PREFIX,
    SECRET_KEY_MIN_LENGTH,
    SECRET_KEY_MIN_UNIQUE_CHARACTERS,
)
from django.core.exceptions import ImproperlyConfigured

from consumers.core.hosts import is_loopback

LOCAL, PRODUCTION = "local", "production"


def why_production(asked: str, *, https: bool, hosts: Sequence[str], database: Mapping[str, Any]) -> str:
    """Why this counts as an installation that others can reach; empty if it does not.

    `asked` is `DEPLOYMENT`: "local" and "production" decide, empty lets the other settings tell. `hosts` are
    ALLOWED_HOSTS, `database` is an entry of DATABASES.
    """
    if asked:
        return "DEPLOYMENT is production" if asked == PRODUCTION else ""
    if https:
        return "HTTPS is on"
    for host in hosts:
        if not is_loopback(host):
            return f"ALLOWED_HOSTS has {host!r}, which is not this machine alone"
    server = str(database.get("OPTIONS", {}).get("host") or database.get("HOST") or "")
    for host in server.split(","):
        if not is_loopback(host):
            return f"the database is on another machine, {host!r}"
    return ""


def refuse_unsafe(why: str, *, secret: str, debug: bool, hosts: Sequence[str]) -> None:
    """Stop an installation that others can reach, for the reason `why`, while its settings are those of a laptop.

    `secret` is SECRET_KEY as given, without the local stack's in its place.

    Raises:
        ImproperlyConfigured: two lines, what is wrong with how to mend it, and why it matters here.
    """
    fault = next(_faults(secret, debug, hosts), "") if why else ""
    if fault:
        raise ImproperlyConfigured(
            f"{fault}\nThis counts as production because {why}; where only you can reach it, set DEPLOYMENT=local."
        )


def _faults(secret: str, debug: bool, hosts: Sequence[str]) -> Iterator[str]:
    if debug:
        yield "DEBUG is on, which shows settings and code to whoever causes an error. Set DEBUG=off."
    if any(host.strip() == "*" for host in hosts):
        yield "ALLOWED_HOSTS is open to any name (*). Set it to the admin's own, as in ALLOWED_HOSTS=admin.example.org."
    if weakness := _weakness(secret):
        make = "python -c 'import secrets; print(secrets.token_urlsafe(64))'"
        yield f"SECRET_KEY {weakness}, and it signs sessions. Set it to what this prints: {make}"


def _weakness(secret: str) -> str:
    if not secret:
        return "is not set"
    if secret.startswith(SECRET_KEY_INSECURE_PREFIX):
        return "is one that `startproject` made for development"
    if len(secret) < SECRET_KEY_MIN_LENGTH or len(set(secret)) < SECRET_KEY_MIN_UNIQUE_CHARACTERS:
        return f"is too easy to guess (fewer than {SECRET_KEY_MIN_LENGTH} characters, or nearly all of them the same)"
    return ""
