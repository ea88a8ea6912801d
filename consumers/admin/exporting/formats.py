"""Rows as lines of a file. A spreadsheet that opens the CSV runs nothing: what would be a formula there is text."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import Any

from consumers.admin.exporting.rows import COLUMNS
from consumers.admin.visible import visible

_FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20|%"
"""Characters with which spreadsheets begin formulas or commands, also full-width.
https://owasp.org/www-community/attacks/CSV_Injection"""


def ndjson(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """An object a line, in ASCII."""
    return (json.dumps(row) + "\n" for row in rows)


def csv_lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A line of names, then one for each row, all cells in quotes; characters that can't be seen are written out."""
    yield _line(COLUMNS)
    for row in rows:
        yield _line([cell(row[name]) for name in COLUMNS])


def cell(value: Any) -> Any:
    """What a cell holds: numbers as they are, texts made harmless by an apostrophe where they would be formulas."""
    if value is None or isinstance(value, int):
        return value
    text = visible(value if isinstance(value, str) else json.dumps(value))
    return f"'{text}" if text.lstrip()[:1] in tuple(_FORMULA) or text[:1] in ("\t", "\n") else text


def _line(cells: Iterable[Any]) -> str:
    buffer = StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerow(cells)
    return buffer.getvalue()
