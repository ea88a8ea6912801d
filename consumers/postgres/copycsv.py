"""Rows as lines of COPY's CSV format, a whole chunk by one call of a JSON encoder: a third of the price of text.

A line of JSON without its brackets is a line of CSV, once COPY is told that a backslash escapes and that `null` is
NULL: what JSON writes in quotes every column reads as its text. Not so where JSON escapes more than quotes and
backslashes (control characters), and where the encoder's way with a value is not the column's. There is no CSV of such
rows; text (`copytext`) carries them, and says what is wrong with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import repeat
from operator import attrgetter
from socket import AF_INET, inet_pton
from types import NoneType
from typing import Any
from uuid import UUID

import msgspec
from django.db import models

from consumers.postgres.cells import compile_cells
from consumers.postgres.columns import Kind, kind_of
from consumers.postgres.copytext import is_ipv6

OPTIONS = r"""(FORMAT csv, NULL 'null', QUOTE '"', ESCAPE '\')"""
"""How COPY is told to read such lines."""

Column = Sequence[Any]
IsPlain = Callable[[Column], bool]
"""Whether the encoder writes these values, none of them None, as the column reads them."""


def _anything(values: Column) -> bool:
    return True


def _are_finite(values: Column) -> bool:
    return all(map(Decimal.is_finite, values))


def _are_numbers(values: Column) -> bool:
    return all(map(math.isfinite, values))


def _are_instants(values: Column) -> bool:
    """Of a column there are few zones: asking each value for its offset would take longer than writing it."""
    return all(zone is UTC or _is_offset(zone) for zone in set(map(_zone, values)))


def _is_offset(zone: Any) -> bool:
    return type(zone) is timezone and zone.utcoffset(None) % timedelta(minutes=1) == timedelta()


def _are_naive(values: Column) -> bool:
    return set(map(_zone, values)) <= {None}


def _are_ipv4(values: Iterable[Any]) -> bool:
    try:
        for _ in map(inet_pton, repeat(AF_INET), values):
            pass
    except (OSError, ValueError):
        return False
    return True


def _are_addresses(values: Column) -> bool:
    if _are_ipv4(values):
        return True
    others = [value for value in values if ":" in value]
    return _are_ipv4(value for value in values if ":" not in value) and all(map(is_ipv6, others))


_zone = attrgetter("tzinfo")

_PLAIN: dict[Kind, tuple[type, IsPlain]] = {
    Kind.TEXT: (str, _anything),
    Kind.UUID: (UUID, _anything),
    Kind.BOOLEAN: (bool, _anything),
    Kind.INTEGER: (int, _anything),
    Kind.DECIMAL: (Decimal, _are_finite),
    Kind.FLOAT: (float, _are_numbers),
    Kind.DATE: (date, _anything),
    Kind.DATETIME: (datetime, _are_instants),
    Kind.TIME: (time, _are_naive),
    Kind.ADDRESS: (str, _are_addresses),
    Kind.IPV4: (str, _are_ipv4),
}


class _Nothing:
    """No value is of this type: of any other kind only NULL is plain."""


class CsvRows:
    """Makes the lines for the columns of some fields."""

    def __init__(self, fields: Sequence[models.Field[Any, Any]], keys: int = 0) -> None:
        """The first `keys` columns must not be NULL."""
        self._columns = [
            (*_PLAIN.get(kind_of(field), (_Nothing, _anything)), place >= keys) for place, field in enumerate(fields)
        ]
        self._cells = compile_cells(fields)
        self._encode = msgspec.json.Encoder().encode_lines

    def lines(self, rows: Sequence[Any]) -> list[bytes] | None:
        """Each row as a line, in the order of the rows; None if there is no CSV of some of them."""
        cells = self._cells(rows)
        if not all(map(_is_plain, zip(*cells, strict=True), self._columns)):
            return None
        try:
            lines = self._encode(cells)
        except UnicodeEncodeError:
            return None
        # Within a line there is no end of a line, which JSON escapes; so this ends and begins lists, and never a text.
        return lines[1:-2].split(b"]\n[") if _escapes_quotes_only(lines) else None


def _is_plain(values: Column, column: tuple[type, IsPlain, bool]) -> bool:
    kind, are_plain, may_be_null = column
    kinds = set(map(type, values))
    if NoneType in kinds and may_be_null:
        kinds.remove(NoneType)
        values = [value for value in values if value is not None]
    return kinds <= {kind} and are_plain(values)


def _escapes_quotes_only(lines: bytes) -> bool:
    return b"\\" not in lines or b"\\" not in lines.replace(b"\\\\", b"").replace(b'\\"', b"")
