"""/metrics, /livez and /readyz of a consuming process.

They answer with 200, or 503 and the reasons; plain text, nothing but GET and HEAD. Anybody who reaches the port may
read them: they hold names and counts, never the content of a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from consumers.core.errors import Misconfigured
from consumers.core.exposition import is_open_metrics, render, type_of
from consumers.engine.front import cannot_serve
from consumers.engine.process import ConsumerProcess
from consumers.reporting.snapshot import ProcessReport, process_report
from consumers.telemetry.health import Bounds, Verdict, Waiting, judge
from consumers.telemetry.metrics import samples, spreads_of

if TYPE_CHECKING:
    from consumers.concurrency.web import WebServer

TEXT = "text/plain; charset=utf-8"
PATHS = "/metrics, /livez, /readyz\n"


class Telemetry:
    """What a process answers to machines that ask."""

    def __init__(self, process: ConsumerProcess) -> None:
        settings = process.settings
        self._process = process
        self._waiting = Waiting()
        self._bounds = Bounds(not_ready_after=settings.not_ready_after, dead_after=settings.stuck_timeout)

    def look(self) -> tuple[ProcessReport, Verdict]:
        """The process at this moment, and what is to be thought of it."""
        report = process_report(self._process)
        return report, judge(report, self._waiting.follow(report), self._bounds)

    def metrics(self, *, is_open: bool = False) -> str:
        """As Prometheus reads them."""
        report, verdict = self.look()
        spreads = {runner.consumer.name: spreads_of(runner.statistics) for runner in self._process.runners}
        return render(samples(report, verdict, spreads), is_open=is_open)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI application."""
        status, kind, text = self._answer(environ)
        body = text.encode()
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        start_response(f"{status.value} {status.phrase}", headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    def _answer(self, environ: dict[str, Any]) -> tuple[HTTPStatus, str, str]:
        path = environ.get("PATH_INFO", "")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, TEXT, "GET only\n"
        if path == "/metrics":
            is_open = is_open_metrics(environ.get("HTTP_ACCEPT", ""))
            return HTTPStatus.OK, type_of(is_open), self.metrics(is_open=is_open)
        if path in ("/livez", "/readyz"):
            return self._health(path)
        return HTTPStatus.NOT_FOUND, TEXT, PATHS

    def _health(self, path: str) -> tuple[HTTPStatus, str, str]:
        _, verdict = self.look()
        is_well = verdict.alive if path == "/livez" else verdict.ready
        status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
        return status, TEXT, "\n".join(["ok" if is_well else "not ok", *verdict.faults, ""])


def serving(process: ConsumerProcess) -> WebServer:
    """The server that the process's settings ask for, its port taken.

    Raises:
        Misconfigured: somebody else has the port.
    """
    from consumers.concurrency.web import WebServer  # loads a web server, which most processes do without

    host, port = process.settings.metrics_host, process.settings.metrics_port
    try:
        return WebServer(host, port, Telemetry(process))
    except (OSError, OverflowError) as error:
        raise Misconfigured(cannot_serve(f"{host}:{port}", error)) from error
