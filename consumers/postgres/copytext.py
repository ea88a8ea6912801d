"""A model's rows as lines of COPY's text format, by a function compiled once for each set of columns.

Exact by construction: the compiled line takes only values of the very type that a column is made for, and only where
Django's path would send the same. Whatever else it meets goes value by value through the field's own
`get_db_prep_save` and the driver's own dumper, so that what they refuse is refused here with the same error.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import msgspec
from django.db import models
from psycopg.adapt import PyFormat, Transformer

from consumers.postgres.cells import compile_cells
from consumers.postgres.columns import Kind, kind_of

NULL = "\\N"
Careful = Callable[[int, Any], str]
"""Makes the cell of the column at this place from a value that the compiled line does not know."""
FormatRows = Callable[[Sequence[Any], Careful], list[str]]


class Unplain(Exception):
    """A value that only an INSERT can carry: an expression, or a default that the database is to fill in."""


# How the values of a kind of column are written (`then`), and what they must look like for it (`if`); `{v}` is the
# value, `{i}` the place of its column.
_CELLS: dict[Kind, tuple[str, str]] = {
    Kind.TEXT: ("{v}", "type({v}) is str and {v}.isprintable() and BACKSLASH not in {v}"),
    Kind.UUID: ("'%032x' % {v}.int", "type({v}) is UUID"),
    Kind.BOOLEAN: ("'t' if {v} else 'f'", "type({v}) is bool"),
    Kind.INTEGER: ("{v}", "type({v}) is int"),
    Kind.DECIMAL: ("str({v})", "type({v}) is Decimal and {v}.is_finite()"),
    Kind.FLOAT: ("repr({v})", "type({v}) is float"),
    Kind.BYTES: ("BYTES + {v}.hex()", "type({v}) is bytes"),
    Kind.DATE: ("{v}.isoformat()", "type({v}) is date"),
    # msgspec writes a time in a fifth of the time that isoformat takes.
    Kind.DATETIME: (
        "encode({v}).decode()[1:-1] if {v}.tzinfo is UTC else {v}.isoformat()",
        "type({v}) is datetime and ({v}.tzinfo is UTC or {v}.utcoffset() is not None)",
    ),
    Kind.TIME: ("{v}.isoformat()", "type({v}) is time and {v}.tzinfo is None"),
    Kind.ADDRESS: ("{v}", "type({v}) is str and (is_ipv4({v}) or is_ipv6({v}))"),
    Kind.IPV4: ("{v}", "type({v}) is str and is_ipv4({v})"),
    Kind.JSON: ("escape(json_{i}({v}))", "type({v}) in (dict, list, str, int, float, bool)"),
    Kind.CONVERTED: ("", ""),
}

_IPV4_TEXT = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}")
_LONGEST_IPV6 = 39
"""Django refuses longer spellings, though they are valid."""


def compile_rows(fields: Sequence[models.Field[Any, Any]]) -> FormatRows:
    """A function from rows and a `Careful` to one line for each row, with the cells of these fields in their order.

    A row is anything that has the fields' attnames as attributes.
    """
    names = ", ".join(f"v{place}" for place in range(len(fields)))
    line = r"\t".join("{" + _expression(field, place) + "}" for place, field in enumerate(fields))
    source = f'def format_rows(rows, careful):\n    return [f"{line}\\n" for {names}, in cells(rows)]\n'
    namespace = _names(fields)
    exec(compile(source, "<rows as COPY text>", "exec"), namespace)  # noqa: S102  (made of constants and places only)
    return cast(FormatRows, namespace["format_rows"])


def escape(text: str) -> str:
    """Text as a cell: what would end the cell or the line is written with a backslash."""
    text = text.replace("\\", "\\\\")
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


class Cells:
    """The careful way for the columns of some fields, over one connection."""

    def __init__(self, fields: Sequence[models.Field[Any, Any]], connection: Any) -> None:
        self._fields = fields
        self._texts = [kind_of(field) is Kind.TEXT for field in fields]
        self._connection = connection

    def __call__(self, place: int, value: Any) -> str:
        """The cell of one value.

        Raises:
            Unplain: only an INSERT can carry it.
            ValueError, TypeError, ValidationError, DataError: what Django's own path raises for this value.
        """
        if self._texts[place] and type(value) is str and "\0" not in value:
            return escape(value)
        if hasattr(value, "resolve_expression"):
            raise Unplain
        prepared = self._fields[place].get_db_prep_save(value, self._connection)
        if prepared is None:
            return NULL
        if hasattr(prepared, "as_sql") or self._may_be_cast(place, prepared):
            raise Unplain
        return self._dumped(prepared)

    def _may_be_cast(self, place: int, prepared: Any) -> bool:
        """Django hands any value on to an interval; only the server's casts know what becomes of a number or a text."""
        return isinstance(self._fields[place], models.DurationField) and not isinstance(prepared, timedelta)

    def _dumped(self, prepared: Any) -> str:
        with self._connection.wrap_database_errors:
            self._connection.ensure_connection()
            dumper = Transformer(self._connection.connection).get_dumper(prepared, PyFormat.TEXT)
            dumped = dumper.dump(prepared)
        return NULL if dumped is None else escape(bytes(dumped).decode())


def _expression(field: models.Field[Any, Any], place: int) -> str:
    """The source of one cell: the quick way, NULL, or the careful way."""
    then, if_ = (part.format(v=f"v{place}", i=place) for part in _CELLS[kind_of(field)])
    rest = f"NULL if v{place} is None else careful({place}, v{place})"
    return f"({then}) if {if_} else {rest}" if if_ else rest


def _names(fields: Sequence[models.Field[Any, Any]]) -> dict[str, Any]:
    types = {kind.__name__: kind for kind in (UUID, Decimal, date, datetime, time)}
    encode = msgspec.json.Encoder().encode
    helpers = {"encode": encode, "escape": escape, "is_ipv4": _IPV4_TEXT.fullmatch, "is_ipv6": is_ipv6}
    constants = {"NULL": NULL, "BACKSLASH": "\\", "BYTES": "\\\\x", "UTC": UTC}
    encoders = {f"json_{i}": _json_of(f) for i, f in enumerate(fields) if kind_of(f) is Kind.JSON}
    return {"cells": compile_cells(fields), **types, **helpers, **constants, **encoders}


def _json_of(field: Any) -> Callable[[Any], str]:
    field = field.target_field if field.is_relation else field
    return json.dumps if field.encoder is None else lambda value: json.dumps(value, cls=field.encoder)


def is_ipv6(text: str) -> bool:
    """Whether it is an address of IPv6 that Django would take as it is."""
    if ":" not in text or "%" in text or len(text) > _LONGEST_IPV6:
        return False
    try:
        socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        return False
    return True
