"""Groups like failures with like: equal but for the numbers, ids and quoted values in their text."""

from __future__ import annotations

import hashlib
import re

_VOLATILE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # a uuid
    r"|0x[0-9a-f]+|\d+(?:[.,:]\d+)*"  # addresses, numbers, times
    r"|'[^']*'|\"[^\"]*\"",  # quoted values
    re.IGNORECASE,
)


def normalise(message: str) -> str:
    """The message with its volatile parts as `#`; its first line only, at most 500 characters."""
    return _VOLATILE.sub("#", message[:2_000].split("\n", 1)[0])[:500]


def fingerprint(reason: str, exception: str, place: str, message: str) -> str:
    """16 hexadecimal digits, equal for failures of the same reason, exception class, place and normalised message."""
    text = "\x1f".join((reason, exception, place, normalise(message)))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]
