"""Rows as CSV by way of JSON: what it carries, and what it leaves to text."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from consumers.postgres.copycsv import CsvRows
from consumers.rows import row_type
from tests.everything import Everything

NAMES = ("key", "uid", "flag", "price", "ratio", "word", "at", "address", "unpacked", "data")
AT = datetime(2026, 1, 2, tzinfo=UTC)
make: Any = row_type(Everything)
csv = CsvRows([Everything._meta.get_field(name) for name in NAMES])  # type: ignore[misc]


def lines(**values: Any) -> list[bytes] | None:
    return csv.lines([make(key=1, **values), make(key=2)])


def test_a_chunk_is_one_line_for_each_row() -> None:
    made = lines(
        uid=uuid.UUID(int=7), flag=True, price=Decimal("1.50"), ratio=0.5, word='a "b", c', at=AT, address="::1"
    )
    uid = b"00000000-0000-0000-0000-000000000007"
    first = b'1,"%s",true,"1.50",0.5,"a \\"b\\", c","2026-01-02T00:00:00Z","::1",null,null' % uid
    assert made == [first, b"2,null,null,null,null,null,null,null,null,null"]


@pytest.mark.parametrize("name", ["uid", "loud"])
def test_a_key_that_is_null_is_left_to_text(name: str) -> None:
    fields: list[Any] = [Everything._meta.get_field(each) for each in (name, "key")]
    assert CsvRows(fields).lines([make(key=1)]) == [b"null,1"]
    assert CsvRows(fields, keys=1).lines([make(key=1)]) is None


@pytest.mark.parametrize(
    "plain",
    [
        {"word": "\\"},
        {"word": '\\"'},
        {"word": "\\\\n"},
        {"word": "]"},
        {"word": "null"},
        {"word": "é\x7f\u2028"},
        {"at": AT.astimezone(timezone(timedelta(hours=5, minutes=30)))},
        {"address": "192.0.2.7"},
        {"unpacked": "192.0.2.7"},
    ],
)
def test_csv_carries(plain: dict[str, Any]) -> None:
    assert lines(**plain) is not None


@pytest.mark.parametrize(
    "other",
    [
        {"word": "a\nb"},
        {"word": "\\\t"},
        {"word": "\0"},
        {"word": "\ud800"},
        {"word": 5},
        {"uid": str(uuid.UUID(int=7))},
        {"flag": 1},
        {"price": Decimal("NaN")},
        {"price": 1},
        {"ratio": float("inf")},
        {"ratio": 1},
        {"at": datetime(2026, 1, 2)},  # noqa: DTZ001
        {"at": AT.astimezone(timezone(timedelta(seconds=30)))},
        {"at": "2026-01-02"},
        {"address": "192.0.2"},
        {"address": "192.0.2.07"},
        {"address": "fe80::1%eth0"},
        {"unpacked": "::ffff:192.0.2.7"},
        {"data": {}},
    ],
)
def test_text_must_carry(other: dict[str, Any]) -> None:
    assert lines(**other) is None
