"""What reporting costs: processor time of a consumer while it reports, held against that while it does not.

python -m benchmarks.reporting [--pairs 12] [--seconds 6]

Measured in alternating windows of one process (`reporting_consumer`), in a scratch database on the server that
DATABASE_URL names (by default the local stack, which must be up). Idle: the processor time that reporting takes in a
second. Full load, as many records as it can: the share of the process's time that is spent in reporting's own
greenlets; and by how much a record costs more than in the windows without, which would also show what reporting slows
down elsewhere, if it were more than the noise.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Any, NamedTuple
from urllib.parse import quote

import psycopg
from psycopg import sql

from benchmarks.commands import CHECKOUT


@contextmanager
def scratch_database() -> Iterator[str]:
    """The address of a migrated database with the sample's campaigns, dropped afterwards."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    from django.conf import settings

    server = settings.DATABASES["default"]
    name = f"bench_reporting_{uuid.uuid4().hex[:8]}"
    base = f"postgres://{quote(server['USER'])}:{quote(server['PASSWORD'])}@{server['HOST']}:{server['PORT']}"
    identifier = sql.Identifier(name)
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
        try:
            address = f"{base}/{name}"
            run(address, "manage.py", "migrate", "--verbosity", "0")
            run(address, "manage.py", "load_sample")
            yield address
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def run(address: str, *arguments: str) -> str:
    """What a program of this checkout prints, run on the database."""
    environment = {**os.environ, "DATABASE_URL": address, "LOG_LEVEL": "WARNING"}
    command = [sys.executable, *arguments]
    done = subprocess.run(  # noqa: S603  (our own programs)
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def pairs(address: str, load: str, number: int, seconds: float) -> list[tuple[dict[str, float], dict[str, float]]]:
    """Neighbouring windows, the one with reporting first."""
    out = run(address, "-m", "benchmarks.reporting_consumer", load, str(2 * number), str(seconds))
    windows = json.loads(out.splitlines()[-1])
    both = zip(windows[::2], windows[1::2], strict=True)
    return [(one, other) if one["on"] else (other, one) for one, other in both]


def idle(address: str, number: int, seconds: float) -> list[float]:
    """Milliseconds of processor that reporting takes in a second."""
    found = pairs(address, "idle", number, seconds)
    return [1000 * (on["cpu"] / on["seconds"] - off["cpu"] / off["seconds"]) for on, off in found]


class Full(NamedTuple):
    """At full load: percent of the process's processor time in reporting's greenlets, percent that a record takes more
    with reporting, records per second with it."""

    own: list[float]
    more: list[float]
    rate: float


def full(address: str, number: int, seconds: float) -> Full:
    """What reporting takes while records come as fast as they are taken."""
    found = pairs(address, "full", number, seconds)
    return Full(
        own=[100 * on["own"] / on["cpu"] for on, _ in found],
        more=[100 * (on["cpu"] / on["records"] * off["records"] / off["cpu"] - 1) for on, off in found],
        rate=median(on["records"] / on["seconds"] for on, _ in found),
    )


def quarters(values: list[float]) -> str:
    """The middle half of some values."""
    low, middle, high = quantiles(values, n=4)
    return f"{middle:+.2f} (middle half of {len(values)}: {low:+.2f} to {high:+.2f})"


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  (a program)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reporting", description=__doc__.split("\n", 1)[0])  # type: ignore[union-attr]
    parser.add_argument("--pairs", type=int, default=12, help="of windows, at least 2")
    parser.add_argument("--seconds", type=float, default=6.0, help="that a window lasts")
    options: Any = parser.parse_args(arguments)
    with scratch_database() as address:
        spent = idle(address, options.pairs, options.seconds)
        say(f"idle: {quarters(spent)} ms of processor a second, {median(spent) / 10:.2f} % of one")
        found = full(address, options.pairs, options.seconds)
        say(f"full load, {found.rate:,.0f} records/s: {quarters(found.own)} % of the processor time is reporting's own")
        say(f"a record takes {quarters(found.more)} % more processor time than without reporting")


if __name__ == "__main__":
    main(sys.argv[1:])
