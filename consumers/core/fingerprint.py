"""Groups like failures with like: equal but for the numbers, ids and quoted values in their text."""

from __future__ import annotations

import hashlib
import re

_LOOKED_AT = 2_000
_KEPT = 500

_VOLATILE = re.compile(
    r"""
      [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}    # a uuid
    | (?<![\w.+-])\w++(?:[.+-]\w++)*+@\w+(?:[.-]\w+)*                 # an e-mail address
    | (?<!\w)b?'[^']*'(?!\w) | (?<!\w)b?"[^"]*"                       # quoted values; an apostrophe is none
    | (?<=\)=)\([^)]*\)                                               # PostgreSQL's Key (name)=(value)
    | (?<![\w:])(?=[a-f:]*\d)(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?!\w)   # an IPv6 address
    | (?<!\w)(?=\w*\d)\w{12,}(?!\w)                                   # an id of letters and digits
    | 0x[0-9a-f]+ | \d+(?:[.,:/t+-]\d+)*z?                            # addresses, numbers, times, ports, columns
    """,
    re.IGNORECASE | re.VERBOSE,
)


def normalise(message: str) -> str:
    """The message with its volatile parts as `#`; its first line only, at most 500 characters."""
    return _VOLATILE.sub("#", message[:_LOOKED_AT].split("\n", 1)[0])[:_KEPT]


def fingerprint(reason: str, exception: str, place: str, message: str) -> str:
    """16 hexadecimal digits, equal for failures of the same reason, exception class, place and normalised message."""
    text = "\x1f".join((reason, exception, place, normalise(message)))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]
