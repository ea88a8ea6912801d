"""Rows that every chunk needs again, kept for a stated time."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from django.db import models

from consumers.concurrency import monotonic

M = TypeVar("M", bound=models.Model)

EARLY = 0.75
"""The part of its time after which a row is fetched again by one chunk, while others still use it."""


class RecentRows(Generic[M]):
    """`in_bulk` with a memory: a row is fetched again before it is `max_age` seconds old, so that a change is never
    missed for longer. A row that is not there is looked for every time.

    Make one where the consumer's class is defined and call it in `prefetch`. The rows are shared by all chunks: do not
    change them.
    """

    def __init__(self, rows: models.QuerySet[M], *, max_age: float = 1.0, size: int = 10_000) -> None:
        """`rows` is what `in_bulk` is called on, such as `Campaign.objects.select_related("advertiser")`; `size` bounds
        how many are kept."""
        self._rows = rows
        self._max_age = max_age
        self._size = size
        self._kept: dict[Hashable, M] = {}
        self._fetched_at: dict[Hashable, float] = {}
        self._asked_at: dict[Hashable, float] = {}

    def in_bulk(self, ids: Iterable[Hashable]) -> dict[Hashable, M]:
        """The rows with these primary keys, those that there are."""
        wanted = set(ids)
        now = monotonic()
        oldest = now - self._max_age
        fresh = {pk for pk in wanted & self._kept.keys() if self._fetched_at[pk] >= oldest}
        due = (wanted - fresh) | self._due_soon(fresh, now)
        found = {pk: self._kept[pk] for pk in fresh - due}
        if due:
            found |= self._fetch(due, now)
        return found

    def _due_soon(self, fresh: set[Hashable], now: float) -> set[Hashable]:
        """Those that the first chunk to meet them fetches ahead of their time, so that not each of the chunks that are
        prepared side by side does it once their time is up."""
        early = now - EARLY * self._max_age
        return {pk for pk in fresh if self._asked_at[pk] < early}

    def _fetch(self, ids: set[Hashable], now: float) -> dict[Hashable, M]:
        self._asked_at |= dict.fromkeys(ids & self._kept.keys(), now)
        rows = self._rows.all().in_bulk(ids)
        if len(self._kept) + len(rows) > self._size:
            self._kept.clear()
            self._fetched_at.clear()
            self._asked_at.clear()
        for pk in ids - rows.keys():
            self._kept.pop(pk, None)
        self._kept |= rows
        self._fetched_at |= dict.fromkeys(rows, now)
        self._asked_at |= dict.fromkeys(rows, now)
        return rows
