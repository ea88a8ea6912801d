"""The key of a record: the value of a field of its event."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

_decode = msgspec.json.Decoder().decode


def key_of(value: bytes, fields: Sequence[str]) -> bytes | None:
    """The first of the fields that the event has, as text; None for what is no JSON object or has none of them."""
    try:
        event = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    for field in fields:
        found = event.get(field)
        if isinstance(found, str | int) and found != "":
            return str(found).encode("utf-8", "replace")
    return None
