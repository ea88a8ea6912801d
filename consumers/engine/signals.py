"""A look outside: what the database's backends, the pool and the machine's processors say of the pressure on them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.db import Error as DatabaseError
from django.db import connections

from consumers.concurrency import monotonic
from consumers.core.limiter import Signals
from consumers.database import release_connections

logger = logging.getLogger(__name__)

CPU_PRESSURE = Path("/proc/pressure/cpu")
"""Linux; its format: Documentation/accounting/psi.rst of the kernel."""
SHORTEST_LOOK, LONGEST_LOOK = 1.0, 5.0
"""Seconds between two readings of it: by less it is a matter of chance, by more not of what is done now."""

# Of other roles' sessions a role may see neither state nor query unless it is in pg_read_all_stats: these don't count.
# Sessions of the same role, database and application name are ours, of this process or another one.
_BACKENDS = """
    SELECT count(*) FILTER (WHERE is_ours),
           count(*) FILTER (WHERE is_ours AND is_blocked),
           count(*) FILTER (WHERE NOT is_ours),
           (SELECT coalesce(max(extract(epoch FROM replay_lag)), 0) FROM pg_stat_replication)::float8
    FROM (SELECT usename = current_user AND datname = current_database()
                 AND application_name = current_setting('application_name') AS is_ours,
                 coalesce(wait_event_type = 'Lock', false) AS is_blocked
          FROM pg_stat_activity
          WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid()) AS active
"""


class SignalReader:
    """Reads the signals, with one short query on a connection that it takes from the pool's reserve and gives back."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._pool: Mapping[str, int] = {}
        self._pressure = CpuPressure()

    def read(self) -> Signals | None:
        """What is to be seen; None if the database does not answer. Blocks its greenlet, so that it needs its own."""
        try:
            with connections[self._using].cursor() as cursor:
                cursor.execute(_BACKENDS)
                ours, blocked, others, lag = cursor.fetchone()
        except DatabaseError as error:
            logger.debug("no look at the database's activity: %s", error)
            return None
        finally:
            release_connections()
        return Signals(ours, blocked, others, self._pool_wait(), self._pressure.read(), lag)

    def _pool_wait(self) -> float:
        pool: Any = getattr(connections[self._using], "pool", None)
        before, self._pool = self._pool, pool.get_stats() if pool is not None else {}
        return pool_wait(before, self._pool)


def pool_wait(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """Seconds that a request waited for a connection between two statistics of a pool, on average over all requests.

    While the pool may still grow it is 0: then it is the server that takes its time to let one in.
    """
    waited, requests = (now.get(name, 0) - before.get(name, 0) for name in ("requests_wait_ms", "requests_num"))
    is_full = now.get("pool_size", 0) >= now.get("pool_max", 1)
    return waited / requests / 1000 if requests > 0 and is_full else 0.0


class CpuPressure:
    """Percent of the time in which some task of the machine waited for a processor."""

    def __init__(self, source: Path = CPU_PRESSURE) -> None:
        self._source = source
        self._before = float("-inf"), 0.0
        """When was read last, and the seconds waited in until then."""

    def read(self) -> float:
        """Since the last reading, if that was a look ago; else of the last ten seconds, in which much may have been
        otherwise. 0 where the system does not tell."""
        try:
            some = dict(field.split("=") for field in self._source.read_text().splitlines()[0].split()[1:])
            average, now = float(some["avg10"]), (monotonic(), float(some["total"]) / 1e6)
        except (OSError, LookupError, ValueError):
            return 0.0
        before, self._before = self._before, now
        elapsed, waited = now[0] - before[0], now[1] - before[1]
        return min(100.0, 100 * waited / elapsed) if SHORTEST_LOOK <= elapsed <= LONGEST_LOOK else average
