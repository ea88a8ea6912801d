"""Lines are kept for the very rows and the very table that they were made of."""

from __future__ import annotations

from typing import Any, cast

from consumers.postgres.copy import CopyTable
from consumers.postgres.kept import KeptLines

TABLE, OTHER = cast(CopyTable, object()), cast(CopyTable, object())


def kept(*rows: Any) -> KeptLines:
    lines = KeptLines()
    lines.keep(TABLE, rows, [f"{row}\n" for row in rows])
    return lines


def test_some_of_the_rows_have_theirs_in_whatever_order() -> None:
    a, b, c = [1], [2], [3]
    assert kept(a, b, c).of(TABLE, [c, a]) == ["[3]\n", "[1]\n"]
    assert kept(a, b, c).of(TABLE, []) == []


def test_a_row_that_only_equals_one_of_them_has_none() -> None:
    a, b = [1], [2]
    assert kept(a, b).of(TABLE, [a, [2]]) is None


def test_another_table_has_other_lines() -> None:
    a = [1]
    assert kept(a).of(OTHER, [a]) is None
    assert KeptLines().of(TABLE, [a]) is None
