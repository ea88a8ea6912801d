"""Connections: the pool against those who draw from it, and against what the server has."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings as django_settings

from consumers.doctor.finding import Severity
from consumers.doctor.patient import Patient
from consumers.doctor.registry import Remark, check

_SERVER = """
    SELECT current_setting('max_connections')::int,
           current_setting('superuser_reserved_connections')::int,
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int,
           (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user)
"""


@check("pool", "database")
def pool(patient: Patient) -> Iterator[Remark]:
    """A consumer's process holds up to a pool of connections; the server must have so many left."""
    settings = patient.settings
    if not django_settings.DATABASES[settings.database].get("OPTIONS", {}).get("pool"):
        yield (
            Severity.WARNING,
            "there is no connection pool: each lane opens a connection for every chunk",
            "Set OPTIONS['pool'] of the database, as Django's documentation on PostgreSQL says.",
        )
    [(most, reserved, used, of_role)] = patient.query(_SERVER)
    room = most - reserved if of_role < 0 else min(most - reserved, of_role)
    text = f"{settings.permits} of {settings.pool_size} connections a process are for {settings.lanes} lanes"
    if settings.pool_size > room:
        lack = f"a process may open {settings.pool_size} connections, and the server lets this role have {room}"
        yield Severity.ERROR, lack, f"Set DATABASE_POOL_SIZE to {max(2, room - 2)} at most, or raise max_connections."
    elif settings.pool_size > room - used:
        lack = f"{used} of the server's {room} connections are taken: one more process may need {settings.pool_size}"
        yield Severity.WARNING, lack, "Lower DATABASE_POOL_SIZE, raise max_connections, or put PgBouncer between."
    else:
        yield Severity.OK, f"{text}; the server has {room - used} of {room} left"
