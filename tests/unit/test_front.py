"""The supervisor's metrics and health: those of processes that answer, that are ill, hang, or are not there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from consumers.engine import front as front_module
from consumers.engine.front import Front

METRICS = "# HELP some_gauge Some.\n# TYPE some_gauge gauge\nsome_gauge 7\n"


@contextmanager
def member(port: int, livez: tuple[int, str] = (200, "ok\n")) -> Iterator[None]:
    """A process that answers so."""
    answers = {"/metrics": (200, METRICS), "/livez": livez, "/readyz": (200, "ok\n")}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = answers[self.path]
            if "openmetrics" in self.headers.get("Accept", ""):
                text += "# EOF\n"
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def port() -> int:
    """The first of three ports in a row that are free."""
    for base in range(21_000, 60_000, 10):
        try:
            for number in range(3):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", base + number))
        except OSError:
            continue
        return base
    raise AssertionError("no three ports in a row are free")


@pytest.fixture
def front(port: int) -> Iterator[Front]:
    with Front("127.0.0.1", port, lambda: [0, 3]) as made:
        yield made


def get(port: int, path: str, accept: str = "") -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Accept": accept})
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def test_metrics_of_all_processes_are_one_text(front: Front, port: int) -> None:
    with member(port + 1), member(port + 2):
        status, text = get(port, "/metrics")
    assert status == 200
    assert 'some_gauge{process="1"} 7' in text
    assert 'some_gauge{process="2"} 7' in text
    assert 'consumers_processes{state="up"} 2' in text
    assert 'consumers_process_restarts_total{process="2"} 3' in text


def test_openmetrics_are_asked_for_and_given(front: Front, port: int) -> None:
    with member(port + 1):
        _, text = get(port, "/metrics", "application/openmetrics-text")
    names = {family.name for family in text_string_to_metric_families(text)}
    assert names == {"consumers_processes", "consumers_process_restarts", "some_gauge"}


def test_a_process_that_is_started_again_is_no_reason_to_end_the_supervisor(front: Front, port: int) -> None:
    with member(port + 1):
        assert get(port, "/livez") == (200, "ok\n")
        status, text = get(port, "/readyz")
        assert status == 503
        assert "process 2: does not answer" in text
        assert 'consumers_processes{state="down"} 1' in get(port, "/metrics")[1]


def test_an_ill_process_makes_the_whole_ill_and_says_why(front: Front, port: int) -> None:
    with member(port + 1), member(port + 2, livez=(503, "not ok\nclicks has settled nothing\n")):
        assert get(port, "/livez") == (503, "not ok\nprocess 2: clicks has settled nothing\n")
        assert get(port, "/readyz") == (200, "ok\n")


def test_a_process_that_hangs_is_not_alive(front: Front, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_module, "PATIENCE", 0.2)
    with member(port + 1), socket.create_server(("127.0.0.1", port + 2)):
        status, text = get(port, "/livez")
    assert status == 503
    assert "process 2: did not answer" in text


def test_other_paths_name_those_there_are(front: Front, port: int) -> None:
    assert get(port, "/")[0] == 404


def test_a_port_that_is_taken_is_told(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)), pytest.raises(OSError, match="in use"):
        Front("127.0.0.1", port, lambda: [0])
