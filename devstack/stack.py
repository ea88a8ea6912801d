"""Starting, stopping and looking at the two servers of the local stack."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from devstack import ports, state
from devstack.addresses import KAFKA, POSTGRES, Addresses, local_addresses
from devstack.download import Report
from devstack.errors import DevstackError
from devstack.kafka import Kafka
from devstack.postgres import Postgres

Server = Postgres | Kafka
SERVERS: dict[str, type[Server]] = {POSTGRES: Postgres, KAFKA: Kafka}


@dataclass(frozen=True)
class ServerStatus:
    """One server: its address, whether it is ours to run, and if so its process (None: not running) and log."""

    name: str
    url: str
    embedded: bool
    pid: int | None
    log: str | None


def up(state_dir: Path, report: Report = print, only: str | None = None) -> Addresses:
    """Starts what is not running yet and returns when it answers; both servers, or the one named by `only`.

    A server whose address is given in the environment (DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS) is left alone.
    `report` is called with a line per step. Raises DevstackError.
    """
    with _at_work(state_dir, report):
        for server in _chosen(state_dir, only):
            if os.environ.get(server.url_variable):
                report(f"{server.title}: {server.url_variable} is set, nothing to start")
            else:
                _start(server, state_dir, report)
    return current_addresses(state_dir)


def down(state_dir: Path, report: Report = print, only: str | None = None) -> None:
    """Stops the servers that `up` started in this state folder, and no other. Their data stay. Raises DevstackError."""
    if not state_dir.exists():
        report("The local stack was never started")
        return
    with _at_work(state_dir, report):
        for server in reversed(_chosen(state_dir, only)):
            if server.process() is None:
                report(f"{server.title}: not running")
            else:
                server.stop()
                report(f"{server.title}: stopped")


def status(state_dir: Path) -> list[ServerStatus]:
    """How the servers are now."""
    current = current_addresses(state_dir)
    urls = {POSTGRES: current.database_url, KAFKA: current.bootstrap_servers}
    return [_status(server, urls[server.name]) for server in _chosen(state_dir, None)]


def current_addresses(state_dir: Path) -> Addresses:
    """The addresses in force: those of the environment before those of the local stack."""
    local = local_addresses(state_dir)
    return Addresses(
        database_url=os.environ.get(Postgres.url_variable) or local.database_url,
        bootstrap_servers=os.environ.get(Kafka.url_variable) or local.bootstrap_servers,
    )


def _chosen(state_dir: Path, only: str | None) -> list[Server]:
    return [kind(state_dir) for name, kind in SERVERS.items() if only in (None, name)]


def _status(server: Server, url: str) -> ServerStatus:
    embedded = not os.environ.get(server.url_variable)
    found = server.process() if embedded else None
    return ServerStatus(
        name=server.name,
        url=url,
        embedded=embedded,
        pid=found.pid if found else None,
        log=str(server.log) if embedded else None,
    )


def _start(server: Server, state_dir: Path, report: Report) -> None:
    kept = state.kept_port(state_dir, server.name)
    running = server.process()
    if running and server.has_data() and kept:
        _confirm(server, running, kept, report)
        return
    if running:
        report(f"{server.title}: stopping one (pid {running.pid}) whose data were deleted")
        server.stop()
    started = time.monotonic()
    port = ports.choose(server.title, variable=server.port_variable, kept=kept, report=report)
    report(f"{server.title}: starting on {ports.HOST}:{port}")
    state.remember(state_dir, server.name, port=port, url=server.url(port))
    server.start(port, report)
    server.wait_until_ready(server.url(port))
    report(f"{server.title}: ready after {time.monotonic() - started:.1f} s")


def _confirm(server: Server, running: psutil.Process, kept: int, report: Report) -> None:
    server.wait_until_ready(server.url(kept))
    report(f"{server.title}: already running on {ports.HOST}:{kept} (pid {running.pid})")
    asked = ports.from_environment(server.port_variable)
    if asked not in (None, kept):
        report(f"  {server.port_variable}={asked} counts from the next start: run `devstack down` first")


@contextlib.contextmanager
def _at_work(state_dir: Path, report: Report) -> Iterator[None]:
    """One command at a time per state folder; what the system refuses becomes a plain error."""
    try:
        with state.locked(state_dir / "lock", lambda: report("Waiting for another devstack command to finish")):
            yield
    except OSError as error:
        raise DevstackError(
            f"{error.filename or state_dir}: {error.strerror or error}. {_mend(error, state_dir)}"
        ) from error


def _mend(error: OSError, state_dir: Path) -> str:
    """What to set for a folder that the system refuses."""
    cache = os.environ.get("DEVSTACK_CACHE", "")
    if cache and str(error.filename or "").startswith(str(Path(cache).expanduser().absolute())):
        return "The jars of the local Kafka are kept there; set DEVSTACK_CACHE to a folder that can be written."
    return (
        f"The local stack keeps its data in {state_dir}; set DEVSTACK_DIR to a folder of your own to have it elsewhere."
    )
