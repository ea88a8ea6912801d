"""A record and the rows it became: the unit that is written, or fails, as a whole."""

from __future__ import annotations

from typing import NamedTuple

from django.db.models import Model

from consumers.core.records import Record


class Unit(NamedTuple):
    """A record with its rows, one or more."""

    record: Record
    rows: tuple[Model, ...]
    key: str = ""
    """What its order is kept by, if a failure of it holds back later records."""
