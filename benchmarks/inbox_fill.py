"""Failed records by the million, made by SQL, for `benchmarks.inbox`."""

from __future__ import annotations

from importlib import import_module
from time import perf_counter

from django.db import connection
from django.db.backends.utils import CursorWrapper

from benchmarks.say import say
from consumers.inbox.rollup import roll_up
from consumers.models import FailedRecord, FailureDelta, FailureGroup

_STEP = 500_000

_FILL = """
INSERT INTO consumers_failedrecord (
    consumer, "group", topic, partition, "offset", timestamp, key, value, headers, reason, exception, message,
    traceback, fingerprint, attempts, repeats, waits_for, order_key, status, first_failed_at, last_failed_at,
    resolved_at, resolved_by, rows_written, note
)
SELECT
    'consumer_' || kind %% 5, 'consumer_' || kind %% 5, 'topic_' || kind %% 10, number %% 6, number, at,
    decode(md5(number::text), 'hex'), convert_to(
        json_build_object('event_id', number, 'campaign_id', kind, 'url', 'https://example.org/')::text, 'UTF8'
    ), '', 'reason_' || kind %% 20, 'DataError', 'value ' || number || ' of kind ' || kind || ' is out of range',
    repeat('  File "consumers.py", line 1, in process' || chr(10), 8), lpad(to_hex(kind), 16, '0'), 1, 1, '', '',
    status, at, at, CASE WHEN status = 'pending' THEN NULL ELSE at END, '', 0, ''
FROM (
    SELECT
        number,
        -- each group has something, and a few have most of it
        CASE WHEN number < %(groups)s THEN number ELSE floor(%(groups)s * power(random(), 4))::bigint END AS kind,
        now() - interval '30 days' * (1 - number / %(failures)s::float8) AS at,
        CASE WHEN random() < 0.3 THEN 'pending' WHEN random() < 0.85 THEN 'resolved' ELSE 'discarded' END AS status
    FROM generate_series(%(start)s::bigint, %(end)s::bigint - 1) AS number
) AS made
"""


def fill(failures: int, groups: int) -> None:
    """Make them, tell the inbox of them as its migration does, and let it take them up."""
    began = perf_counter()
    with connection.cursor() as cursor:
        later = _without_indexes(cursor)
        for start in range(0, failures, _STEP):
            bounds = {"start": start, "end": min(start + _STEP, failures)}
            cursor.execute(_FILL, {"failures": failures, "groups": groups, **bounds})
            say(f"  {bounds['end']:,} failed records after {perf_counter() - began:.0f} s")
        for statement in later:
            cursor.execute(statement)
        say(f"  indexes made after {perf_counter() - began:.0f} s")
        cursor.execute(import_module("consumers.migrations.0003_failure_inbox").DELTAS_OF_EXISTING_FAILURES)
        say(f"  {FailureDelta.objects.count():,} deltas after {perf_counter() - began:.0f} s")
        _take_up()
        cursor.execute("VACUUM ANALYZE")
    say(f"  {FailureGroup.objects.count():,} groups, all done after {perf_counter() - began:.0f} s")


def _without_indexes(cursor: CursorWrapper) -> list[str]:
    """Drop what makes filling slow; returns the statements that make it anew."""
    table = FailedRecord._meta.db_table
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexname NOT LIKE %s "
        "AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        [table, "%_pkey"],
    )
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f'DROP INDEX "{name}"')
    return [definition for _, definition in found]


def _take_up() -> None:
    """Roll up all there is; tells how long a call takes."""
    times = []
    taken = 1
    while taken:
        began = perf_counter()
        taken = roll_up("default")
        times.append(perf_counter() - began)
    if len(times) > 1:
        say(f"  rolled up in {len(times) - 1} calls, {sum(times):.0f} s; the longest {max(times):.2f} s")
