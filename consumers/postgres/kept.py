"""Lines of a COPY that came to nothing, for the next attempt on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consumers.postgres.copy import CopyTable, Lines


class KeptLines:
    """The lines of some rows. Making them is a sixth of all that a consumer does for a row."""

    def __init__(self) -> None:
        self._table: CopyTable | None = None
        self._rows: Sequence[Any] = ()
        self._lines: Lines = ()

    def keep(self, table: CopyTable, rows: Sequence[Any], lines: Lines) -> None:
        """Keep these, in place of what was kept before. The rows must not change from now on."""
        self._table, self._rows, self._lines = table, rows, lines

    def of(self, table: CopyTable, rows: Sequence[Any]) -> Lines | None:
        """The lines of these very rows for this table; None if some of them were not kept."""
        if table is not self._table:
            return None
        kept = dict(zip(map(id, self._rows), self._lines, strict=True))
        lines = list(map(kept.get, map(id, rows)))
        return None if None in lines else lines
