"""Rows into a table by COPY: straight, hoping that all are new, or by way of a stage that tells which were.

The stage is a temporary table, one for each connection and set of columns. Every transaction makes it where it is
missing, so that nothing depends on which connection a pool, or PgBouncer in transaction mode, hands out. The role needs
the TEMPORARY privilege on the database for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2s
from typing import Any

from django.db import DatabaseError, DataError, connections, models, transaction

from consumers.core.errors import point_at
from consumers.core.optimism import Optimism
from consumers.postgres.copycsv import OPTIONS, CsvRows
from consumers.postgres.copytext import NULL, Cells, compile_rows
from consumers.postgres.errors import breaks_uniqueness, refused_line

Lines = Sequence[Any]
"""Rows as COPY reads them, the cells of the key first: `str`, lines of text (see `copytext`), or `bytes`, lines of CSV
(see `copycsv`)."""


class CopyTable:
    """Some columns of a model's table, those of the key first, as COPY fills them."""

    def __init__(self, model: type[models.Model], unique: Sequence[str], omitted: frozenset[str], using: str) -> None:
        """`unique` names the fields of the key, `omitted` the attnames of the columns that the database fills."""
        self._using = using
        key: list[Any] = [model._meta.get_field(name) for name in unique]
        rest = [f for f in model._meta.concrete_fields if f not in key and not f.generated and f.attname not in omitted]
        self._fields = [*key, *rest]
        self._keys = len(key)
        self._has_text = any(isinstance(field, models.CharField | models.TextField) for field in key)
        self._format = compile_rows(self._fields)
        self._csv = CsvRows(self._fields, self._keys)
        self._hope = Optimism()
        self._table = _quoted(model._meta.db_table)
        self._stage = f'pg_temp."consumers_stage_{_digest(model, self._fields, using)}"'
        self._columns = ", ".join(_quoted(f.column) for f in self._fields)
        self._same_key = " AND ".join(f"new.{_quoted(f.column)} = stage.{_quoted(f.column)}" for f in key)
        self._key_columns = ", ".join(_quoted(f.column) for f in key)
        self._doubt = False

    def lines(self, rows: Sequence[Any]) -> Lines:
        """Each row as a line, in the order of the rows: all of them CSV, or all of them text where CSV does not carry
        some of them.

        Raises:
            Unplain: a value that only an INSERT can carry.
            ValueError, TypeError, ValidationError, DataError: a value that Django's own path refuses as well.
        """
        return self._csv_lines(rows) or self._format(rows, Cells(self._fields, connections[self._using]))

    def _csv_lines(self, rows: Sequence[Any]) -> list[bytes] | None:
        if not self._hope.tries():
            return None
        lines = self._csv.lines(rows)
        self._hope.failed() if lines is None else self._hope.paid()
        return lines

    def ordered(self, lines: Lines) -> list[Any]:
        """The lines in the order of their keys' text, the same for CSV and text."""
        return sorted(lines, key=_as_text if self._sorts_as_text(lines) else None)

    def order(self, lines: Lines) -> list[int]:
        """The places of the lines in that order; dearer."""
        if self._sorts_as_text(lines):
            lines = list(map(_as_text, lines))
        return sorted(range(len(lines)), key=lines.__getitem__)

    def _sorts_as_text(self, lines: Lines) -> bool:
        return self._has_text and isinstance(lines[0], bytes)

    def lacks_key(self, line: str | bytes) -> bool:
        """Whether a part of the line's key is NULL, which equals nothing. CSV does not carry such rows."""
        return isinstance(line, str) and NULL in line.split("\t", self._keys)[: self._keys]

    def copy(self, lines: Lines, *, in_savepoint: bool) -> bool:
        """Straight into the table within a savepoint, its own unless there is one; False, and nothing written once the
        savepoint is gone back to, if a unique constraint (or a trigger) held back any of them. Another error points at
        the line that was refused, where the server names one.

        All who write in one order (see `order`) never wait for each other in a circle.
        """
        try:
            with transaction.atomic(using=self._using, savepoint=not in_savepoint):
                if self._send(self._table, self._columns, lines) != len(lines):
                    raise _Held
        except _Held:
            return False
        except DatabaseError as error:
            if breaks_uniqueness(error):
                return False
            number = refused_line(error)
            if number is not None and number <= len(lines):
                point_at(error, number - 1)
            raise
        return True

    def merge(self, lines: Lines) -> set[int]:
        """By way of the stage: the places of those whose keys were not written. To be called in a transaction, with
        distinct keys that are not NULL.
        """
        with connections[self._using].cursor() as cursor:
            if self._doubt:
                self._drop_if_outdated(cursor)
            cursor.execute(self._empty_stage())
            try:
                self._send(self._stage, f"__place, {self._columns}", _numbered(lines))
            except DataError:
                self._doubt = True
                raise
            cursor.execute(self._merge_stage())
            return {place for (place,) in cursor.fetchall()}

    def _send(self, table: str, columns: str, lines: Lines) -> int:
        into = f"COPY {table} ({columns}) FROM STDIN"
        if isinstance(lines[0], bytes):
            return _copy(self._using, f"{into} {OPTIONS}", b"\n".join(lines))
        return _copy(self._using, into, "".join(lines).encode())

    def _empty_stage(self) -> str:
        return (  # every name in it is quoted
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {self._stage} ON COMMIT DELETE ROWS AS"  # noqa: S608
            f" SELECT 0 AS __place, {self._columns} FROM {self._table} WITH NO DATA;"
            f" DELETE FROM {self._stage}"
        )

    def _merge_stage(self) -> str:
        return (
            f"WITH new AS (INSERT INTO {self._table} ({self._columns})"  # noqa: S608  (every name in it is quoted)
            f" SELECT {self._columns} FROM {self._stage}"
            f" ORDER BY __place ON CONFLICT DO NOTHING RETURNING {self._key_columns})"
            f" SELECT __place FROM {self._stage} AS stage WHERE NOT EXISTS (SELECT FROM new WHERE {self._same_key})"
        )

    def _drop_if_outdated(self, cursor: Any) -> None:
        """A value was refused: maybe by a stage that a migration of the table has left behind."""
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_attribute old JOIN pg_attribute new USING (attname)"
            " WHERE old.attrelid = to_regclass(%s) AND new.attrelid = to_regclass(%s) AND old.attnum > 0"
            " AND (old.atttypid, old.atttypmod, old.attcollation) <> (new.atttypid, new.atttypmod, new.attcollation))",
            [self._stage, self._table],
        )
        if cursor.fetchone()[0]:
            cursor.execute(f"DROP TABLE {self._stage}")
        self._doubt = False


@lru_cache(maxsize=256)
def copy_table(model: type[models.Model], unique: tuple[str, ...], omitted: frozenset[str], using: str) -> CopyTable:
    """The one CopyTable of these columns; compiling it takes a millisecond."""
    return CopyTable(model, unique, omitted, using)


class _Held(Exception):
    """A trigger kept rows out."""


def _copy(using: str, statement: str, data: bytes) -> int:
    """Send data to COPY, past the wrappers that other statements pass too; returns how many rows it wrote."""
    connection = connections[using]

    def send(sql: str, params: object, many: bool, context: Any) -> int:
        connection.validate_no_broken_transaction()
        with connection.wrap_database_errors:
            with context["cursor"].copy(sql) as copy:
                copy.write(data)
            return int(context["cursor"].rowcount)

    with connection.cursor() as cursor:
        return int(cursor._execute_with_wrappers(statement, None, many=False, executor=send))


def _numbered(lines: Lines) -> Lines:
    if isinstance(lines[0], bytes):
        return [b"%d,%b" % each for each in enumerate(lines)]
    return [f"{place}\t{line}" for place, line in enumerate(lines)]


_TABS = bytes.maketrans(b'"', b"\t")


def _as_text(line: bytes) -> bytes:
    """A line of CSV in a form that sorts as the same row's line of text does: a key before those that begin with it."""
    return line.translate(_TABS)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if not name.startswith('"') else name


def _digest(model: type[models.Model], fields: Sequence[Any], using: str) -> str:
    """Tells stages of other tables, columns and types apart."""
    columns = [(field.column, field.db_type(connections[using])) for field in fields]
    return blake2s(repr((model._meta.db_table, columns)).encode(), digest_size=8).hexdigest()
