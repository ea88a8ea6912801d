"""The database: whether it answers, takes writes, is up to date, and whom the connection trusts."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from consumers.core.hosts import is_loopback
from consumers.doctor.finding import Severity
from consumers.doctor.patient import Patient
from consumers.doctor.registry import Remark, check

_STATE = """
    SELECT current_setting('server_version'), current_setting('server_version_num')::int, pg_is_in_recovery(),
           current_setting('default_transaction_read_only') = 'on',
           coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)
"""
OLDEST = 140_000
"""PostgreSQL 14, the oldest that Django 5.2 takes."""


@check("database")
def database(patient: Patient) -> Iterator[Remark]:
    """It answers, and takes writes."""
    if patient.database_fault:
        mend = "Check DATABASE_URL, and that PostgreSQL runs there; locally: manage.py devstack up."
        yield Severity.ERROR, f"the database does not answer: {patient.database_fault}", mend
        return
    [(version, number, is_standby, is_read_only, _)] = patient.query(_STATE)
    if number < OLDEST:
        yield Severity.ERROR, f"PostgreSQL {version} is too old", "Use PostgreSQL 14 or newer."
    if is_standby:
        yield Severity.ERROR, "the server is a standby, which takes no writes", "Point DATABASE_URL at the primary."
    elif is_read_only:
        mend = "ALTER ROLE ... SET default_transaction_read_only = off."
        yield Severity.ERROR, "transactions of this role are read-only", mend
    else:
        yield Severity.OK, f"PostgreSQL {version} answers at {_host(patient)} and takes writes"


@check("migrations", "database")
def migrations(patient: Patient) -> Iterator[Remark]:
    """All tables are there."""
    executor = MigrationExecutor(connections[patient.settings.database])
    pending = [f"{m.app_label}.{m.name}" for m, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
    if pending:
        more = f" and {len(pending) - 3} more" if len(pending) > 3 else ""
        yield Severity.ERROR, f"not applied: {', '.join(pending[:3])}{more}", "Run manage.py migrate."
    else:
        yield Severity.OK, "all migrations are applied"


@check("database TLS", "database")
def encryption(patient: Patient) -> Iterator[Remark]:
    """Passwords and rows do not cross a network in clear, and the server is who it says it is."""
    [(*_, is_encrypted)] = patient.query(_STATE)
    mode = str(connections[patient.settings.database].settings_dict.get("OPTIONS", {}).get("sslmode", "prefer"))
    if is_loopback(_host(patient)):
        yield Severity.OK, f"the database is on this machine (TLS {'on' if is_encrypted else 'off'})"
    elif not is_encrypted:
        text = f"the connection to {_host(patient)} is not encrypted (sslmode={mode})"
        yield Severity.WARNING, text, "Add ?sslmode=verify-full&sslrootcert=FILE to DATABASE_URL."
    elif mode != "verify-full":
        text = f"the connection is encrypted, but sslmode={mode} does not check who answers"
        yield Severity.WARNING, text, "Set sslmode=verify-full and sslrootcert in DATABASE_URL."
    else:
        yield Severity.OK, "the connection is encrypted and the server's certificate checked"


def _host(patient: Patient) -> str:
    given = connections[patient.settings.database].settings_dict
    return str(given.get("OPTIONS", {}).get("host") or given.get("HOST") or "")
