"""A look at the database past the pool, which would retry for its whole time-out and not say why."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections


def probe(using: str = DEFAULT_DB_ALIAS) -> None:
    """Connect once and leave.

    Raises:
        psycopg.OperationalError: the server is out of reach, or refuses the user, the password or the database.
    """
    params: dict[str, Any] = {**connections[using].get_connection_params()}
    params.pop("pool", None)
    psycopg.connect(**params).close()
