"""Types of the wire formats that several events share: ids, instants and addresses as strict as their columns."""

from __future__ import annotations

from datetime import UTC, datetime
from socket import AF_INET, AF_INET6, inet_pton
from typing import Annotated

from msgspec import Meta

from ads import limits

Id = Annotated[int, Meta(ge=1, le=limits.MAX_ID)]
Instant = Annotated[datetime, Meta(tz=True)]
"""RFC 3339 with an offset; a time without one is refused, for nobody knows when it was."""

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def check_instant(name: str, value: datetime) -> None:
    """Refuse a time that no real event has. PostgreSQL holds more, but such a row would only mislead.

    Raises:
        ValueError: it lies before 1970 or not before 2200; msgspec makes a ValidationError of it.
    """
    if not EARLIEST <= value < LATEST:
        raise ValueError(f"`{name}` is out of range: {value.isoformat()} (accepted: 1970 up to 2200)")


def check_ip(name: str, value: str) -> None:
    """Refuse what PostgreSQL's inet cannot hold as one address: scopes (%eth0), leading zeros, networks, host names.

    inet_pton takes 0.2 us; `ipaddress` would take 3-9 us and lets scopes pass.

    Raises:
        ValueError: it is no IPv4 or IPv6 address. The message leaves out the value, which is personal data.
    """
    try:
        inet_pton(AF_INET6 if ":" in value else AF_INET, value)
    except (OSError, ValueError):
        raise ValueError(f"`{name}` is not an IPv4 or IPv6 address") from None
