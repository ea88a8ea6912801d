"""The tables that consumers write: the index behind ON CONFLICT, those behind foreign keys, and what slows a write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.db.models import Model

from consumers.doctor.finding import Severity
from consumers.doctor.patient import Consumer, Patient
from consumers.doctor.registry import Remark, check
from consumers.ingest import IngestManager

_INDEXES = """
    SELECT i.indexrelid::regclass::text, i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL, i.indisvalid,
           array(SELECT a.attname::text FROM unnest(i.indkey[0 : i.indnkeyatts - 1]) WITH ORDINALITY AS k(number, place)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number ORDER BY place)
    FROM pg_index i WHERE i.indrelid = to_regclass(%s)
"""
_PARTITION_KEY = """
    SELECT a.attname::text FROM pg_partitioned_table p
    JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = ANY(p.partattrs::smallint[])
    WHERE p.partrelid = to_regclass(%s)
"""
_TABLE = """
    SELECT relpersistence, (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal)
    FROM pg_class c WHERE c.oid = to_regclass(%s)
"""


class Index(NamedTuple):
    """`is_key` tells whether it is unique over all rows."""

    name: str
    is_key: bool
    is_valid: bool
    columns: list[str]


@check("indexes", "database")
def indexes(patient: Patient) -> Iterator[Remark]:
    """The key has its unique index, and each foreign key one that starts with it."""
    for consumer in patient.consumers:
        held = [Index(*row) for row in patient.query(_INDEXES, _quoted(consumer.model))]
        partitioned_by = {name for (name,) in patient.query(_PARTITION_KEY, _quoted(consumer.model))}
        remarks = [*_key(consumer, held, partitioned_by), *_foreign(consumer.model, held), *_invalid(held)]
        yield from remarks
        if not any(severity >= Severity.WARNING for severity, *_ in remarks):
            yield Severity.OK, f"{consumer.model._meta.db_table} has the indexes that it needs"


@check("tables", "database")
def tables(patient: Patient) -> Iterator[Remark]:
    """Nothing about a table loses rows, or makes writing it slow."""
    for consumer in patient.consumers:
        name = consumer.model._meta.db_table
        found = patient.query(_TABLE, _quoted(consumer.model))
        remarks = [*_of_table(name, *found[0]), *_manager(consumer)] if found else [_lacking(name)]
        yield from remarks or [(Severity.OK, f"{name} is written by COPY")]


def _key(consumer: Consumer, held: list[Index], partitioned_by: set[str]) -> Iterator[Remark]:
    """A partitioned table's unique index holds what it is partitioned by as well."""
    wanted = {_column(consumer.model, name) for name in consumer.unique}
    keys = [index for index in held if index.is_key and set(index.columns) == wanted | partitioned_by]
    table, listed = consumer.model._meta.db_table, ", ".join(sorted(wanted))
    if not any(index.is_valid for index in keys):
        what = f"{table} has no valid unique index on {listed}, the key of {consumer.name}"
        mend = "Run manage.py migrate; if it has run, put the UniqueConstraint back, or REINDEX an invalid one."
        yield Severity.ERROR, what, mend
    elif more := sorted(partitioned_by - wanted):
        text = f"{table} is partitioned: the same {listed} with another {', '.join(more)} is a row of its own"
        yield Severity.INFO, text


def _foreign(model: type[Model], held: list[Index]) -> Iterator[Remark]:
    first = {index.columns[0] for index in held if index.columns and index.is_valid}
    for field in model._meta.concrete_fields:
        if field.is_relation and field.column not in first:
            text = (
                f"{model._meta.db_table}.{field.column} has no index: deleting a row that it refers to scans the table"
            )
            if getattr(field, "db_index", False):
                yield (
                    Severity.WARNING,
                    text,
                    "Run manage.py migrate; if it has run, somebody has dropped it: CREATE INDEX.",
                )
            else:
                yield Severity.INFO, f"{text} (db_index=False)"


def _invalid(held: list[Index]) -> Iterator[Remark]:
    for index in held:
        if not index.is_valid:
            text = f"index {index.name} is invalid: it costs on every write and answers no query"
            yield Severity.WARNING, text, f"REINDEX INDEX CONCURRENTLY {index.name};"


def _of_table(name: str, persistence: str, triggers: int) -> Iterator[Remark]:
    if persistence == "u":
        text = f"{name} is unlogged: a crash of the server empties it, while the ledger has moved on"
        yield Severity.ERROR, text, f"ALTER TABLE {name} SET LOGGED;"
    if triggers:
        yield Severity.INFO, f"{name} has {triggers} trigger(s), which run for every row"


def _manager(consumer: Consumer) -> Iterator[Remark]:
    if not isinstance(consumer.model._default_manager, IngestManager):
        text = f"{consumer.model._meta.label} is written by INSERT: `objects = IngestManager()` would have it take COPY"
        yield Severity.INFO, text


def _lacking(name: str) -> Remark:
    return Severity.ERROR, f"the table {name} is missing", "Run manage.py migrate."


def _column(model: type[Model], name: str) -> str:
    field: Any = model._meta.get_field(name)
    return str(field.column)


def _quoted(model: type[Model]) -> str:
    return f'"{model._meta.db_table}"'
