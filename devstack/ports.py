"""Which TCP port a server of the local stack gets."""

import os
import random
import socket
from collections.abc import Callable

import psutil

from devstack.errors import DevstackError
from devstack.process import wait_for

HOST = "127.0.0.1"
# Below the range that systems hand to outgoing connections, so that a kept port is still free the next day.
RANGE = range(20_000, 30_000)
TRIES = 200


def from_environment(variable: str) -> int | None:
    """The port named by an environment variable, or None where it is unset or empty."""
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise DevstackError(f"{variable}={text} is not a port: give a number from 1 to 65535, or unset it.")
    return int(text)


def choose(title: str, *, variable: str, kept: int | None, report: Callable[[str], None], patience: float = 3.0) -> int:
    """The port to start on: the one asked for in the environment, else the one kept, else a free one.

    A server killed a moment ago may hold its port for `patience` seconds yet. A kept port that stays taken is replaced,
    and said; one asked for and taken is an error that names its holder.
    """
    asked = from_environment(variable)
    wanted = asked or kept
    if wanted is not None and wait_for(lambda: is_free(wanted), seconds=patience):
        return wanted
    if asked:
        raise DevstackError(
            f"{variable}={asked}: the port is taken by {holder(asked)}. Stop that, or choose another port."
        )
    port = free_port()
    if kept is not None:
        report(f"{title}: its port {kept} is taken by {holder(kept)}; using {port} instead")
    return port


def free_port() -> int:
    """A port on loopback that nothing listens on now."""
    for port in random.sample(RANGE, TRIES):
        if is_free(port):
            return port
    raise DevstackError(f"No free port on {HOST} between {RANGE.start} and {RANGE.stop - 1}.")


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name != "nt":
            # As the servers do themselves: connections that closed a moment ago don't make a port taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Who listens on `port`, as "name (pid 123)"; vague where the system does not tell."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return "another process"
