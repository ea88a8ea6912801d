"""The values of an index's leading columns, at a price that doesn't grow with the table."""

from __future__ import annotations

from typing import Any

from django.db import connections, models, router

MOST = 200
"""Values looked up; a longer list would be no use as a filter."""


def leading_values(model: type[models.Model], *fields: str) -> list[tuple[Any, ...]]:
    """The distinct values of `fields`, in order, at most `MOST` of them. The fields must lead an index of the model.

    SELECT DISTINCT reads every row, even when there are three values among millions. This recursive query (a "loose
    index scan", https://wiki.postgresql.org/wiki/Loose_indexscan) goes from one value to the next greater one, an
    index probe each.
    """
    connection = connections[router.db_for_read(model)]
    quote = connection.ops.quote_name
    by_name = {field.name: str(field.column) for field in model._meta.concrete_fields}
    names = [quote(by_name[field]) for field in fields]
    columns, walked = ", ".join(names), ", ".join(f"walk.{name}" for name in names)
    table = quote(model._meta.db_table)
    statement = f"""
        WITH RECURSIVE walk AS (
            (SELECT {columns} FROM {table} ORDER BY {columns} LIMIT 1)
            UNION ALL
            SELECT step.* FROM walk, LATERAL (
                SELECT {columns} FROM {table} WHERE ({columns}) > ({walked}) ORDER BY {columns} LIMIT 1
            ) AS step
        )
        SELECT * FROM walk LIMIT {MOST}
    """  # noqa: S608 - made of quoted names only
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())
