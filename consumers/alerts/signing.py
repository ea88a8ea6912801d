"""Signatures of what is posted, and how a receiver checks them.

The header `X-Consumers-Signature` is `v1=` and the hexadecimal HMAC-SHA256, under the shared secret, of the header
`X-Consumers-Timestamp` (seconds since the epoch), a full stop, and the body. The time is signed too, so that nobody can
send an old alert again. (Stripe's and Slack's webhooks are signed in the same manner.)
"""

from __future__ import annotations

import hashlib
import hmac

VERSION = "v1"


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The signature of a body posted at that time."""
    digest = hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256).hexdigest()
    return f"{VERSION}={digest}"


def verify(secret: str, timestamp: int, body: bytes, signature: str, *, now: float, tolerance: float = 300.0) -> bool:
    """Whether the body is genuine and was posted within `tolerance` seconds of `now`."""
    expected = sign(secret, timestamp, body).encode()
    genuine = hmac.compare_digest(expected, signature.encode("utf-8", "replace"))
    return genuine and abs(now - timestamp) <= tolerance
