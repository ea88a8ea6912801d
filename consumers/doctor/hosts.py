"""Whether an address is on this machine, where nobody listens in."""

from __future__ import annotations

import ipaddress


def is_local(host: str) -> bool:
    """Loopback addresses, and sockets in the file system, an empty host included."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
