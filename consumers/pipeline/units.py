"""A record and the rows it became: the unit that is written, or fails, as a whole."""

from __future__ import annotations

from typing import Any

import msgspec

from consumers.core.records import Record


class Unit(msgspec.Struct, frozen=True, gc=False):
    """A record with its rows, one or more: instances of its consumer's model, or of that model's `row_type`."""

    record: Record
    rows: tuple[Any, ...]
    key: str = ""
    """What its order is kept by, if a failure of it holds back later records."""
