"""Where the local stack can be reached, read without starting anything: settings import this on every command."""

import contextlib
import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POSTGRES = "postgres"
KAFKA = "kafka"

STATE_FILE = "stack.json"
SECRET_FILE = "secret_key"  # noqa: S105 - the name of a file

DEFAULT_DATABASE_URL = "postgres://postgres@127.0.0.1:5432/postgres"
DEFAULT_BOOTSTRAP_SERVERS = "127.0.0.1:9092"


@dataclass(frozen=True)
class Addresses:
    """A database URL (postgres://user:password@host:port/name) and Kafka's bootstrap servers (host:port,...)."""

    database_url: str
    bootstrap_servers: str


def local_addresses(state_dir: Path) -> Addresses:
    """The addresses of the stack last started under `state_dir`.

    Loopback defaults where it was never started. A missing or half-written state file counts as never started.
    """
    state = read_state(state_dir)
    return Addresses(
        database_url=_text(state, POSTGRES, "url") or DEFAULT_DATABASE_URL,
        bootstrap_servers=_text(state, KAFKA, "url") or DEFAULT_BOOTSTRAP_SERVERS,
    )


def state_folder(checkout: Path) -> Path:
    """Where the local stack keeps its data: DEVSTACK_DIR from the environment, or `.devstack` in the checkout."""
    named = os.environ.get("DEVSTACK_DIR", "")
    return Path(named).expanduser().absolute() if named else checkout / ".devstack"


def local_secret(state_dir: Path) -> str:
    """A secret key made once per machine and kept in `state_dir`, readable by its owner only.

    Processes that race for it agree on one. Where the folder cannot be written the key lasts as long as the process.
    """
    try:
        return kept_secret(state_dir / SECRET_FILE)
    except OSError:
        return secrets.token_urlsafe(64)


def kept_secret(path: Path) -> str:
    """The secret kept in `path` (mode 0600), made by the first who asks. Raises OSError where it can't be kept."""
    with contextlib.suppress(FileNotFoundError):
        if kept := path.read_text(encoding="ascii", errors="replace").strip():
            return kept
    return _keep_first(path, secrets.token_urlsafe(64))


def _keep_first(path: Path, text: str) -> str:
    """Writes `text` unless another process was first; what stands in the file afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # created with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
        if path.exists() and not path.read_text(encoding="ascii").strip():
            path.unlink(missing_ok=True)  # left empty by a crash
        _publish(Path(draft), path)
        return path.read_text(encoding="ascii").strip()
    finally:
        Path(draft).unlink(missing_ok=True)


def _publish(draft: Path, path: Path) -> None:
    """Gives the finished draft its name, in one step and only if the name is free."""
    with contextlib.suppress(FileExistsError):
        if os.name == "nt":
            draft.rename(path)  # refuses to replace on Windows
        else:
            os.link(draft, path)


def read_state(state_dir: Path) -> dict[str, Any]:
    """What `up` wrote down, one entry per server; empty if that is missing or unreadable."""
    try:
        state = json.loads((state_dir / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return state if isinstance(state, dict) else {}


def _text(state: dict[str, Any], server: str, key: str) -> str:
    entry = state.get(server)
    value = entry.get(key) if isinstance(entry, dict) else None
    return value if isinstance(value, str) else ""
