"""A record's headers as bytes for a column, and back: their values may be anything, which text columns can't hold."""

from __future__ import annotations

import msgspec

from consumers.core.records import Headers

_decoder = msgspec.json.Decoder(list[tuple[str, bytes | None]])


def pack_headers(headers: Headers) -> bytes:
    """Headers as a JSON array of [name, base64 value or null]; nothing for no headers."""
    return msgspec.json.encode([list(header) for header in headers]) if headers else b""


def unpack_headers(packed: bytes) -> Headers:
    return tuple(_decoder.decode(packed)) if packed else ()
