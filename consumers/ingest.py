"""The manager under a consumer's writes: Django's `bulk_create`, which also tells which rows were new."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeVar

from django.db import connections, models
from django.db.models.constants import OnConflict

M = TypeVar("M", bound=models.Model)


class IngestQuerySet(models.QuerySet[M]):
    """`bulk_create(..., ignore_conflicts=True)` sets `_state.adding = False` on exactly those rows that were inserted.

    Django itself leaves this open; here INSERT .. ON CONFLICT DO NOTHING returns the unique fields of what it wrote.
    """

    def bulk_create(
        self,
        objs: Iterable[M],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[M]:
        """As Django's; with `ignore_conflicts` and `unique_fields`, the rows tell whether they were new.

        Of several rows with one key only the first is written. A row with `_state.adding` still True after the call
        was held back by a conflict: with its own key in the table, or with any other unique constraint.
        """
        rows = list(objs)
        if not (ignore_conflicts and unique_fields and rows):
            return super().bulk_create(
                rows, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
            )
        unique = [self.model._meta.get_field(name) for name in unique_fields]
        inserted: set[tuple[Any, ...]] = set()
        for start in range(0, len(rows), batch_size or len(rows)):
            inserted |= self._insert_ignoring(rows[start : start + (batch_size or len(rows))], unique)
        _mark_new(rows, unique, inserted, self.db)
        return rows

    def _insert_ignoring(self, rows: Sequence[M], unique: Sequence[Any]) -> set[tuple[Any, ...]]:
        """INSERT .. ON CONFLICT DO NOTHING RETURNING the keys; returns the keys of the rows written."""
        self._for_write = True
        self._prepare_for_bulk_create(rows)  # type: ignore[attr-defined]
        meta = self.model._meta
        auto = meta.auto_field if meta.auto_field and all(row.pk is None for row in rows) else None
        fields = [f for f in meta.concrete_fields if not f.generated and f is not auto]
        query = models.sql.InsertQuery(self.model, on_conflict=OnConflict.IGNORE)
        query.insert_values(fields, list(rows))
        compiler = query.get_compiler(using=self.db)
        compiler.returning_fields = list(unique)
        [(statement, params)] = compiler.as_sql()
        with connections[self.db].cursor() as cursor:
            cursor.execute(statement, params)
            return {_normal(unique, values) for values in cursor.fetchall()}


def _normal(unique: Sequence[Any], values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple((f.target_field if f.is_relation else f).to_python(v) for f, v in zip(unique, values, strict=True))


def _mark_new(rows: Sequence[models.Model], unique: Sequence[Any], inserted: set[tuple[Any, ...]], using: str) -> None:
    left = set(inserted)
    for row in rows:
        key = _normal(unique, (getattr(row, field.attname) for field in unique))
        row._state.adding = key not in left
        if key in left:
            left.remove(key)
            row._state.db = using


class IngestManager(models.Manager.from_queryset(IngestQuerySet)):  # type: ignore[misc]
    """`objects = IngestManager()` on a model that a consumer writes. Models with another manager are written through
    a queryset of this kind all the same; a faster path under this manager serves only those that declare it."""


def ingest_queryset(model: type[M]) -> models.QuerySet[M]:
    """What a consumer writes `model` through."""
    manager = model._default_manager
    return manager.all() if isinstance(manager, IngestManager) else IngestQuerySet(model)
