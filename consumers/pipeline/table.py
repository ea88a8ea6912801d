"""The table that a consumer writes: its keys, the bulk write, what is stored, and the effect of what was new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models

from consumers.consumer import BatchConsumer
from consumers.ingest import Given, ingest, ingest_queryset
from consumers.keys import Keys, Token
from consumers.pipeline.compare import Comparison
from consumers.rows import row_type


class Table:
    """One consumer's table. Holds no state between chunks."""

    def __init__(self, consumer: BatchConsumer[Any, Any], using: str) -> None:
        self.using = using
        self.keys = Keys(consumer.model, consumer.unique)
        self.comparison = Comparison(consumer)
        self._model = consumer.model
        self._unique = tuple(consumer.unique)
        self._consumer = consumer
        self._has_effect = type(consumer).on_written is not BatchConsumer.on_written

    def insert(self, rows: Sequence[Any], given: Given) -> list[bool] | None:
        """The bulk write. Returns of each row whether it was new; None if all were.

        Raises:
            Again: only where a savepoint is given.
            Exception: what the database or a field refused.
        """
        if row_type(self._model) in set(map(type, rows)):
            return ingest(self._model, rows, self._unique, self.using, given=given)
        queryset = ingest_queryset(self._model).using(self.using)
        queryset.given = given
        queryset.bulk_create(rows, ignore_conflicts=True, unique_fields=self._unique)
        newness = [not row._state.adding for row in rows]
        return None if all(newness) else newness

    def stored(self, rows: Sequence[Any]) -> dict[Token, models.Model]:
        """The table's rows under the keys of these."""
        found = self._model._base_manager.using(self.using).filter(self.keys.matching(rows)) if rows else ()
        return {self.keys.token(row): row for row in found}

    def on_written(self, rows: Sequence[Any]) -> None:
        """Tell the consumer of the rows that were new."""
        if rows and self._has_effect:
            self._consumer.on_written(rows)
