"""A small web server beside the greenlets, for probes and monitoring."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gevent.pool import Pool
from gevent.pywsgi import WSGIServer

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_AT_ONCE = 16
"""Connections that are served; more wait. A scrape or a probe takes milliseconds."""


class WebServer:
    """Serves a WSGI application, each connection in a greenlet."""

    def __init__(self, host: str, port: int, application: Application) -> None:
        """Takes the port at once; 0 takes any that is free.

        Raises:
            OSError, OverflowError: the port is taken, there is no such port, or the address is not ours.
        """
        self._server = WSGIServer((host, port), application, log=None, error_log=None, spawn=Pool(_AT_ONCE))
        self._server.init_socket()

    @property
    def address(self) -> tuple[str, int]:
        """What it listens on."""
        host, port = self._server.socket.getsockname()[:2]
        return host, port

    def serve(self) -> None:
        """Serve until killed; run it in a scope."""
        try:
            self._server.serve_forever(stop_timeout=0)
        finally:
            self._server.stop(timeout=0)
            self._server.close()
