"""Consumers whose connections PgBouncer hands out, in both modes with transactions: no event is lost or doubled."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from devstack.ports import HOST, free_port
from tests.conftest import missing
from tests.e2e.clicks import TOPIC, assert_books, clicks
from tests.e2e.harness import Site, wait_until

pytestmark = pytest.mark.e2e

INSTALL = "no PgBouncer on this machine; on Debian and Ubuntu: apt install pgbouncer"
FEW = 2
"""Server connections for two processes of two lanes each: they must share them."""

_CONFIGURATION = """
[databases]
{database} = host={host} port={server_port} user={user} password={password}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = any
admin_users = {user}
pool_mode = {mode}
default_pool_size = {size}
"""


class Bouncer:
    """A PgBouncer at work before a site's database."""

    def __init__(self, site: Site, port: int) -> None:
        self.url = urlsplit(site.database_url)._replace(netloc=f"{_user(site)}@{HOST}:{port}").geturl()
        self._console = urlsplit(self.url)._replace(path="/pgbouncer").geturl()
        self._database = site.database

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True

    def transactions(self) -> int:
        """How many it has passed on."""
        with psycopg.connect(self._console, autocommit=True, cursor_factory=psycopg.ClientCursor) as console:
            cursor = console.execute("SHOW STATS")
            names = [column.name for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
        return sum(int(row["total_xact_count"]) for row in rows if row["database"] == self._database)


def _user(site: Site) -> str:
    return urlsplit(site.database_url).username or ""


@contextmanager
def bouncer(site: Site, mode: str, size: int) -> Iterator[Bouncer]:
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        missing(INSTALL)
    server, port = urlsplit(site.database_url), free_port()
    text = _CONFIGURATION.format(
        database=site.database,
        host=HOST,
        server_port=server.port,
        user=server.username,
        password=server.password or "",
        port=port,
        mode=mode,
        size=size,
    )
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    folder.chmod(0o755)  # it refuses to run as root, and must still read what root wrote
    (folder / "pgbouncer.ini").write_text(text, encoding="ascii")
    with (folder / "log").open("wb") as log:
        user = "nobody" if os.geteuid() == 0 else None
        started = subprocess.Popen([program, "-q", folder / "pgbouncer.ini"], user=user, stderr=log)
    try:
        made = Bouncer(site, port)
        wait_until(made.answers, f"PgBouncer, which logs to {folder / 'log'}")
        yield made
    finally:
        started.kill()
        started.wait()
        shutil.rmtree(folder)


@pytest.mark.parametrize(("mode", "size"), [("session", 20), ("transaction", FEW)])
def test_the_books_are_exact_behind_a_pooler(site: Site, mode: str, size: int) -> None:
    values = clicks(20_000, 31)
    site.send(TOPIC, values)
    with bouncer(site, mode, size) as between:
        done = site.consume("clicks", "--processes", "2", "--chunk-size", "500", DATABASE_URL=between.url).ok()
        assert between.transactions() > len(values) / 500
    assert_books(site, values)
    assert done.counts == site.ledger()
