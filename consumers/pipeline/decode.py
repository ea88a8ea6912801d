"""Stage 1: bytes become events. What is not the event fails here, with a reason; tombstones are skipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from consumers.core.errors import RecordError, TooLarge
from consumers.core.outcomes import Outcomes
from consumers.core.records import Record
from consumers.pipeline.failures import failure

Decoded = list[tuple[Record, Any]]


class EventDecoder:
    """Decodes and validates JSON into one event type."""

    def __init__(self, event: type[Any], limit: int) -> None:
        """`limit` is the most bytes that a value may have."""
        self._decode = msgspec.json.Decoder(event).decode
        self._limit = limit

    def decode(self, records: Sequence[Record], outcomes: Outcomes) -> Decoded:
        """The records that are events, with them; the others' outcomes are noted."""
        decoded: Decoded = []
        for record in records:
            if record.value is None:
                outcomes.skipped.append(record)
                continue
            try:
                decoded.append((record, self._event(record.value)))
            except RecordError as error:
                outcomes.failures.append(failure(record, error))
        return decoded

    def _event(self, value: bytes) -> Any:
        if len(value) > self._limit:
            raise TooLarge(len(value), self._limit)
        try:
            event = self._decode(value)
        except msgspec.ValidationError as error:
            raise RecordError("invalid", str(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RecordError("undecodable", str(error)) from error
        # PostgreSQL's text can't hold NUL, which JSON can only write as an escape.
        if b"\\u0000" in value and _holds_nul(event):
            raise RecordError("invalid", "a text holds the character NUL (\\u0000)")
        return event


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, msgspec.Struct):
        return any(_holds_nul(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, dict):
        return any(_holds_nul(each) for pair in value.items() for each in pair)
    return isinstance(value, list | tuple | set | frozenset) and any(map(_holds_nul, value))
