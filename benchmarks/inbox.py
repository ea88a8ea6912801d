"""How fast the failure inbox is with many failures: `python -m benchmarks.inbox [--failures N] [--groups N]`.

Fills a database of its own on the project's PostgreSQL server, lets the inbox take up what it finds, and times its
pages through Django's test client: the whole answer, rendered, as a member of staff gets it. The database is dropped at
the end, unless `--keep` leaves it for a look, or for another run with `--reuse`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from urllib.parse import urlsplit

from benchmarks.commands import CHECKOUT
from benchmarks.say import say
from devstack.addresses import local_addresses, state_folder

NAME = "bench_inbox"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inbox", description=__doc__)
    parser.add_argument("--failures", type=int, default=1_000_000, help="failed records (default: 1000000)")
    parser.add_argument("--groups", type=int, default=10_000, help="failure groups (default: 10000)")
    parser.add_argument("--rounds", type=int, default=7, help="how often each page is asked for (default: 7)")
    parser.add_argument("--keep", action="store_true", help="leave the database for a look")
    parser.add_argument("--reuse", action="store_true", help="measure on the database that --keep has left")
    chosen = parser.parse_args()
    with _database(keep=chosen.keep, reuse=chosen.reuse):
        from benchmarks.inbox_fill import fill

        if not chosen.reuse:
            fill(chosen.failures, chosen.groups)
        _measure(chosen.rounds)
    return 0


@contextmanager
def _database(*, keep: bool, reuse: bool) -> Iterator[None]:
    """Django on a database of that name, which is made first and dropped at the end."""
    import django
    import psycopg

    url = os.environ.get("DATABASE_URL") or local_addresses(state_folder(CHECKOUT)).database_url
    os.environ["DATABASE_URL"] = urlsplit(url)._replace(path=f"/{NAME}").geturl()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    with psycopg.connect(urlsplit(url)._replace(path="/postgres").geturl(), autocommit=True) as server:
        if not reuse:
            server.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
            server.execute(f"CREATE DATABASE {NAME}")
        django.setup()
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate", verbosity=0)
        try:
            yield
        finally:
            connection.close()
            connection.close_pool()
            if not keep:
                server.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


def _measure(rounds: int) -> None:
    """Ask for each page `rounds` times, after once for warming up; prints a table in Markdown."""
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    User.objects.filter(username="bench").delete()
    client = Client(headers={"host": "localhost"}, raise_request_exception=False)
    client.force_login(User.objects.create_superuser("bench"))
    say("| page | median ms | longest ms | queries | in SQL ms |\n|---|--:|--:|--:|--:|")
    for name, address in _pages():
        if (status := client.get(address).status_code) != 200:
            say(f"| {name} | answers {status} | | | |")
            continue
        times = [_time(client, address) for _ in range(rounds)]
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        sql = sum(float(query["time"]) for query in queries) * 1000
        say(f"| {name} | {statistics.median(times):.0f} | {max(times):.0f} | {len(queries)} | {sql:.0f} |")


def _time(client: object, address: str) -> float:
    """Milliseconds until the answer is there."""
    began = perf_counter()
    client.get(address)  # type: ignore[attr-defined]
    return (perf_counter() - began) * 1000


def _pages() -> Iterator[tuple[str, str]]:
    """What is measured: a name and an address each."""
    from django.urls import reverse

    from consumers.models import FailureGroup

    inbox, records = reverse("admin:consumers_failuregroup_changelist"), _records
    yield "inbox, as it opens", inbox
    yield "inbox, all groups, the last page of 50", f"{inbox}?status=all&p={FailureGroup.objects.count() // 50}"
    yield "inbox, by pending", f"{inbox}?status=all&o=-3"
    yield "inbox, searched in messages", f"{inbox}?status=all&q=kind"
    yield "inbox, of one topic", f"{inbox}?status=all&topic=topic_3"
    by_size = FailureGroup.objects.order_by("-count")
    for name, group in (("largest", by_size[0]), ("smallest", by_size.reverse()[0])):
        one = {"consumer": group.consumer, "fingerprint": group.fingerprint}
        yield f"the {name} group ({group.count:,})", reverse("admin:consumers_failuregroup_change", args=[group.pk])
        yield f"failed records of the {name} group", records(**one)
        yield f"pending ones of the {name} group", records(**one, status="pending")
    yield "failed records, unfiltered", records()
    yield "failed records of a reason", records(reason="reason_7")
    for since in ("1h", "1d", "7d"):
        yield f"failed records of a reason, past {since}", records(reason="reason_7", since=since)
    yield "pending ones of a reason", records(reason="reason_7", status="pending")
    yield "one failed record", reverse("admin:consumers_failedrecord_change", args=[by_size[0].example_id])


def _records(**query: str) -> str:
    from django.urls import reverse

    return reverse("admin:consumers_failedrecord_changelist", query=query)


if __name__ == "__main__":
    sys.exit(main())
