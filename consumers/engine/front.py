"""The supervisor's /metrics, /livez and /readyz: those of all its processes, each asked when somebody asks here.

Process i of them serves on the port i above the supervisor's, on loopback. One that does not answer has ended and is
being started again, which is the supervisor's business and no reason to end it: /livez stays well, /readyz does not.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from consumers.core.exposition import Metric, Sample, is_open_metrics, merge, render, type_of

PATIENCE = 5.0
"""Seconds that a process may take to answer."""

UP = Metric("consumers_processes", "gauge", "Processes of the supervisor, by whether they answer.", ("state",))
RESTARTS = Metric(
    "consumers_process_restarts_total", "counter", "Times that a process was started again.", ("process",)
)


def cannot_serve(where: str, error: OSError | OverflowError) -> str:
    """What the user is told."""
    mend = "Choose another --metrics-port, or stop what listens there."
    return f"metrics cannot be served at {where}: {_why(error)}. {mend}"


def _why(error: OSError | OverflowError) -> str:
    """Without the address, which some add to it."""
    return str(getattr(error, "strerror", None) or error).split(": (", 1)[0]


Restarts = Callable[[], Sequence[int]]
"""How often each process was started again, in the order of their numbers."""


class Reply(NamedTuple):
    """`status` is 0 where nobody answered."""

    status: int
    text: str


class Front:
    """A server in a thread of its own."""

    def __init__(self, host: str, port: int, restarts: Restarts) -> None:
        """Takes the port at once.

        Raises:
            OSError, OverflowError: somebody else has it, or the address is not ours.
        """
        front = self

        class Handler(BaseHTTPRequestHandler):
            timeout = PATIENCE

            def do_GET(self) -> None:
                front.answer(self)

            do_HEAD = do_GET

            def log_message(self, *args: object) -> None:
                """Says nothing: a probe every few seconds is no news."""

        self._port = port
        self._restarts = restarts
        self._server = _Server(host, port, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Front:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        accept = request.headers.get("Accept", "")
        if request.path == "/metrics":
            status, text, kind = 200, self._metrics(accept), type_of(is_open_metrics(accept))
        elif request.path in ("/livez", "/readyz"):
            (status, text), kind = self._health(request.path), "text/plain; charset=utf-8"
        else:
            status, text, kind = 404, "/metrics, /livez, /readyz\n", "text/plain; charset=utf-8"
        body = text.encode()
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    def _metrics(self, accept: str) -> str:
        replies = self._ask_all("/metrics", accept)
        answers = {str(number): reply.text for number, reply in replies.items() if reply.status == 200}
        own = [Sample(UP, len(answers), ("up",)), Sample(UP, len(replies) - len(answers), ("down",))]
        own += [Sample(RESTARTS, count, (str(number),)) for number, count in enumerate(self._restarts(), 1)]
        is_open = is_open_metrics(accept)
        return merge(answers, "process", render(own, is_open=is_open), is_open=is_open)

    def _health(self, path: str) -> tuple[int, str]:
        replies = self._ask_all(path)
        bad = {number: reply for number, reply in replies.items() if reply.status != 200}
        if path == "/livez":
            bad = {number: reply for number, reply in bad.items() if reply.status}
        told = [f"process {number}: {_first_fault(reply)}" for number, reply in sorted(bad.items())]
        return (503, "\n".join(["not ok", *told, ""])) if bad else (200, "ok\n")

    def _ask_all(self, path: str, accept: str = "") -> dict[int, Reply]:
        numbers = range(1, len(self._restarts()) + 1)
        with ThreadPoolExecutor(len(numbers)) as pool:
            replies = pool.map(lambda number: _ask(self._port + number, path, accept), numbers)
            return dict(zip(numbers, replies, strict=True))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), handler)

    def handle_error(self, *args: object) -> None:
        """Says nothing: whoever asked has gone away."""


def _ask(port: int, path: str, accept: str) -> Reply:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Accept": accept})
        reply = connection.getresponse()
        return Reply(reply.status, reply.read().decode())
    except TimeoutError:
        return Reply(503, f"not ok\ndid not answer within {PATIENCE:g} s\n")
    except (OSError, HTTPException) as error:
        return Reply(0, f"not ok\ndoes not answer: {error}\n")
    finally:
        connection.close()


def _first_fault(reply: Reply) -> str:
    return "; ".join(reply.text.splitlines()[1:]) or "not ok"
