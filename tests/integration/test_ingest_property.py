"""Whatever the rows, COPY and INSERT leave the same table, the same answer, or the same error."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.ingest import Path, ingest
from consumers.rows import row_type
from tests.everything import Everything, make_tables
from tests.integration.ways import WAYS, take

Row = row_type(Everything)

texts = st.text(st.characters(), max_size=25)
zones = st.sampled_from([timezone.utc, timezone(timedelta(hours=-3, minutes=-30)), timezone(timedelta(hours=14))])  # noqa: UP017
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
anything = st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | texts | st.binary(max_size=9)
values: dict[str, st.SearchStrategy[Any]] = {
    "uid": st.uuids(),
    "small": st.integers(-(2**15), 2**15),
    "positive": st.integers(-1, 2**31),
    "big": st.integers(-(2**63) - 1, 2**63),
    "flag": st.booleans(),
    "price": st.decimals(places=4) | st.decimals(),
    "ratio": st.floats(),
    "word": texts,
    "text": texts,
    "loud": texts,
    "day": st.dates() | st.datetimes(timezones=zones),
    "at": st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=zones),  # noqa: DTZ001
    "clock": st.times(),
    "span": st.timedeltas(min_value=timedelta(days=-900_000), max_value=timedelta(days=900_000)),
    "address": st.ip_addresses().map(str) | st.ip_addresses(),
    "unpacked": st.ip_addresses().map(str) | st.ip_addresses(v=6).map(lambda ip: f"::ffff:{int(ip) % 256}.0.0.1"),
    "data": json_values,
    "raw": st.binary(max_size=9) | st.binary(max_size=9).map(bytearray),
}
keys = {"key": st.integers(1, 6) | st.integers(-(2**63), 2**63)}
plain_rows = st.lists(st.fixed_dictionaries(keys, optional=values), min_size=1, max_size=5)
csv_values = {name: each for name, each in values.items() if name not in {"loud", "span", "data", "raw"}}
csv_rows = st.lists(st.fixed_dictionaries(keys, optional=csv_values), min_size=1, max_size=5)
wild_value = st.tuples(st.sampled_from(sorted(values)), anything)


@pytest.fixture(scope="module", autouse=True)
def _tables(django_db_setup: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        make_tables()


class _Undo(Exception):
    """Ends an attempt."""


def outcome(rows: list[dict[str, Any]], path: Path) -> tuple[Any, ...]:
    """What writing the rows leaves, undone again: the answer and the table's text, or the class of the error."""
    found: tuple[Any, ...] = ()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            answer = ingest(Everything, [Row(**row) for row in rows], ["key"], path=path)
            cursor.execute("SELECT tests_everything::text FROM tests_everything ORDER BY key")
            found = (answer, cursor.fetchall())
            raise _Undo
    except _Undo:
        return found
    except Exception as error:  # noqa: BLE001  (compared with the other path's)
        return (type(error),)


quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.django_db
@given(rows=plain_rows | csv_rows, way=st.sampled_from(WAYS))
@quick
def test_both_paths_leave_the_same_or_both_refuse(
    rows: list[dict[str, Any]], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        take(way, patch)
        compare(rows)


def compare(rows: list[dict[str, Any]]) -> None:
    Everything.objects.get_or_create(key=3, defaults={"text": "there"})

    copied, inserted = outcome(rows, "copy"), outcome(rows, "insert")
    # Of several bad values each path may name another one first.
    assert copied == inserted or (len(copied), len(inserted)) == (1, 1)


@pytest.mark.django_db
@pytest.mark.filterwarnings("ignore:DateTimeField .* received a naive datetime")
@given(value=wild_value)
@quick
def test_one_wild_value_ends_in_the_same_row_or_the_same_error(value: tuple[str, Any]) -> None:
    row = {"key": 1, value[0]: value[1]}
    assert outcome([row], "copy") == outcome([row], "insert")
