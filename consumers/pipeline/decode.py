"""Stage 1: bytes become events. What is not the event fails here, with a reason; tombstones are skipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from consumers.core.errors import RecordError, TooLarge
from consumers.core.outcomes import Outcomes
from consumers.core.records import Record
from consumers.pipeline.failures import failure


class Decoded(NamedTuple):
    """Records that are events, and the events, in the same order."""

    records: list[Record]
    events: list[Any]

    def pairs(self) -> Iterator[tuple[Record, Any]]:
        return zip(self.records, self.events, strict=True)


class EventDecoder:
    """Decodes and validates JSON into one event type."""

    def __init__(self, event: type[Any], limit: int) -> None:
        """`limit` is the most bytes that a value may have."""
        self._decode = msgspec.json.Decoder(event).decode
        self._limit = limit

    def decode(self, records: Sequence[Record], outcomes: Outcomes) -> Decoded:
        """The records that are events, with them; the others' outcomes are noted."""
        decoded = Decoded([], [])
        add_record, add_event = decoded.records.append, decoded.events.append
        decode, limit = self._decode, self._limit  # the loop that every record goes through
        for record in records:
            value = record.value
            if value is None:
                outcomes.skipped.append(record)
                continue
            try:
                if len(value) > limit:
                    raise TooLarge(len(value), limit)
                event = decode(value)
                # PostgreSQL's text can't hold NUL, which JSON can only write as an escape.
                if b"\\u0000" in value and _holds_nul(event):
                    raise RecordError("invalid", "a text holds the character NUL (\\u0000)")
            except _REFUSALS as error:
                outcomes.failures.append(failure(record, _refusal(error)))
            else:
                add_record(record)
                add_event(event)
        return decoded


_REFUSALS = (RecordError, msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def _refusal(error: BaseException) -> BaseException:
    """The record's error, with its reason, from the decoder's."""
    if isinstance(error, RecordError):
        return error
    refusal = RecordError("invalid" if isinstance(error, msgspec.ValidationError) else "undecodable", str(error))
    return refusal.with_traceback(error.__traceback__)


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, msgspec.Struct):
        return any(_holds_nul(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, dict):
        return any(_holds_nul(each) for pair in value.items() for each in pair)
    return isinstance(value, list | tuple | set | frozenset) and any(map(_holds_nul, value))
