"""The ways that COPY has into a table, one of which a test can insist on."""

from __future__ import annotations

import pytest

WAYS = ("csv", "text", "csv, merged", "text, merged")
"""Merged by way of the stage, or straight."""


def take(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on rows that are copied take this way; CSV only if it carries them."""
    monkeypatch.setattr("consumers.core.optimism.Optimism.tries", lambda self: True)
    if "merged" in way:
        monkeypatch.setattr("consumers.postgres.copy.CopyTable.copy", lambda self, lines, in_savepoint: False)
    if "text" in way:
        monkeypatch.setattr("consumers.postgres.copycsv.CsvRows.lines", lambda self, rows: None)
