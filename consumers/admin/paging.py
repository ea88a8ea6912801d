"""Counts for lists of millions: exact while it is cheap, the planner's estimate beyond."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.paginator import Paginator
from django.db import connections
from django.db.models import QuerySet
from django.utils.functional import cached_property

if TYPE_CHECKING:
    AnyPaginator = Paginator[Any]
else:
    AnyPaginator = Paginator

EXACT_UP_TO = 10_000
"""Rows that are counted one by one; counting them takes a few milliseconds."""


class EstimatedCountPaginator(AnyPaginator):
    """A paginator that never runs an unbounded count(*). Set it as a ModelAdmin's `paginator`, together with
    `show_full_result_count = False`.

    Up to `EXACT_UP_TO` rows the count is exact. Beyond, it is the planner's estimate, and never less than that bound:
    the last pages may then be empty, or missing. The bound is on rows found, not on rows looked at: a filter that no
    index serves still reads the table, as the list itself does.
    """

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if not isinstance(rows, QuerySet) or rows.query.is_sliced:
            return super().count
        counted = rows.order_by()[: EXACT_UP_TO + 1].count()
        return counted if counted <= EXACT_UP_TO else max(counted, estimate(rows))


def estimate(rows: QuerySet[Any]) -> int:
    """How many rows the planner expects; 0 when it can't tell (a table never analysed, another database)."""
    if connections[rows.db].vendor != "postgresql":
        return rows.count()
    query = rows.query
    if query.where or query.distinct or query.combinator or query.group_by is not None:
        return _planned_rows(rows)
    return _table_rows(rows)


def _table_rows(rows: QuerySet[Any]) -> int:
    connection = connections[rows.db]
    with connection.cursor() as cursor:
        table = connection.ops.quote_name(rows.model._meta.db_table)
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s)", [table])
        found = cursor.fetchone()
    return max(0, int(found[0])) if found else 0


def _planned_rows(rows: QuerySet[Any]) -> int:
    plan = json.loads(rows.order_by().explain(format="json"))
    return int(plan[0]["Plan"]["Plan Rows"])
