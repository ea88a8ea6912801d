"""The benchmark's database: made once, emptied before each trial, and asked afterwards what was committed when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.commands import Commands
from benchmarks.window import Commit

NAME = "bench"

# The engine's own tables, whatever they are, and all that consumers write.
_WRITTEN = """
    SELECT tablename FROM pg_tables WHERE schemaname = 'public'
    AND (tablename LIKE 'consumers\\_%%' OR tablename = ANY(%s)) ORDER BY 1
"""
_DOMAIN_TABLES = ["ads_click", "ads_impression", "payments_payment", "payments_balance"]

# A row's xmin is the transaction that wrote it; the parts of one transaction (savepoints) share its commit time.
_COMMITS = """
    SELECT extract(epoch FROM pg_xact_commit_timestamp(writer))::float8 AS at, sum(rows)::int8
    FROM (SELECT xmin AS writer, count(*) AS rows FROM {} GROUP BY xmin) AS written
    WHERE pg_xact_commit_timestamp(writer) >= to_timestamp(%s)
    GROUP BY 1 ORDER BY 1
"""

SETTINGS_THAT_MATTER = (
    "shared_buffers",
    "max_wal_size",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "autovacuum",
    "jit",
)


@dataclass(frozen=True)
class Database:
    """A database of the benchmark's server."""

    url: str

    @classmethod
    def make(cls, server_url: str, commands: Commands) -> Database:
        """A new one with the project's tables and the sample's advertisers and campaigns."""
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
        made = cls(urlsplit(server_url)._replace(path=f"/{NAME}").geturl())
        for arguments in (["migrate", "--verbosity", "0"], ["load_sample"]):
            commands.manage(*arguments, environment={"DATABASE_URL": made.url})
        return made

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True)

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            cursor = connection.execute(sql.SQL(statement), values or None)
            return cursor.fetchall() if cursor.description else []

    def empty(self) -> None:
        """Remove all that consumers wrote, so that each trial starts from the same state and a fresh checkpoint."""
        with self.connect() as connection:
            names = [name for (name,) in connection.execute(_WRITTEN, [_DOMAIN_TABLES])]
            tables = sql.SQL(", ").join(map(sql.Identifier, names))
            connection.execute(sql.SQL("TRUNCATE {}").format(tables))
            connection.execute("CHECKPOINT")

    def commits(self, table: str, since: float) -> list[Commit]:
        """The transactions that wrote rows of `table` at or after `since` (seconds since the epoch), in order."""
        with self.connect() as connection:
            rows = connection.execute(sql.SQL(_COMMITS).format(sql.Identifier(table)), [since]).fetchall()
        return [Commit(at, count) for at, count in rows]

    def settings(self) -> dict[str, str]:
        """The server's version and the settings that a reader of the figures must know."""
        names: Sequence[str] = ("server_version", *SETTINGS_THAT_MATTER)
        return {name: self.execute(f"SHOW {name}")[0][0] for name in names}
