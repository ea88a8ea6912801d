"""The servers for the time of a demo: started if they don't run, and stopped only if we started them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from devstack import stack

ADDRESSES = ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS")


def addresses_given() -> bool:
    """Whether the environment (or .env) names both servers."""
    return all(os.environ.get(name) for name in ADDRESSES)


@contextlib.contextmanager
def running_stack(state_dir: Path, report: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """Gives the two addresses as environment variables.

    Raises:
        devstack.errors.DevstackError: a server does not start.
    """
    ours = [server.name for server in stack.status(state_dir) if server.embedded and server.pid is None]
    try:
        found = stack.up(state_dir, report)
        yield {"DATABASE_URL": found.database_url, "KAFKA_BOOTSTRAP_SERVERS": found.bootstrap_servers}
    finally:
        for name in reversed(ours):
            stack.down(state_dir, report, only=name)
