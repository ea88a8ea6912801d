"""What the local stack remembers between commands: each server's port and address, and who is at work on it."""

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from devstack.addresses import STATE_FILE, read_state

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PAUSE_SECONDS = 0.1


def kept_port(state_dir: Path, server: str) -> int | None:
    """The port that `server` was last started on, or None."""
    entry = read_state(state_dir).get(server)
    port = entry.get("port") if isinstance(entry, dict) else None
    return port if isinstance(port, int) and 0 < port < 65536 else None


def remember(state_dir: Path, server: str, *, port: int, url: str) -> None:
    """Writes down the address of `server`, whole or not at all: other processes read this file at any moment."""
    state = read_state(state_dir) | {server: {"port": port, "url": url}}
    handle, draft = tempfile.mkstemp(dir=state_dir, prefix=STATE_FILE)  # mode 0600: the URL holds a password
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(state, file, indent=2)
    Path(draft).replace(state_dir / STATE_FILE)


@contextlib.contextmanager
def locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Holds the lock file `path` for the block, between processes; calls `on_wait` once if another holds it.

    The system gives the lock back when its holder dies, so a killed command leaves nothing to clean up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        if not _try_lock(file):
            on_wait()
            _lock(file)
        yield


def _try_lock(file: IO[str]) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lock(file: IO[str]) -> None:
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX)
        return
    while not _try_lock(file):
        time.sleep(PAUSE_SECONDS)  # the system's own waiting lock gives up after ten seconds
