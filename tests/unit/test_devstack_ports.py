"""Which port a server gets: asked for, kept, or free."""

import os
import socket
from collections.abc import Iterator

import pytest

from devstack import ports
from devstack.errors import DevstackError

VARIABLE = "DEVSTACK_KAFKA_PORT"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((ports.HOST, 0))
        listener.listen(1)
        yield listener.getsockname()[1]


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def choose(kept: int | None) -> tuple[int, list[str]]:
    said: list[str] = []
    return ports.choose("Kafka", variable=VARIABLE, kept=kept, report=said.append, patience=0), said


def test_a_first_start_takes_a_free_port_below_those_of_outgoing_connections() -> None:
    port, said = choose(None)
    assert port in ports.RANGE
    assert said == []


def test_a_kept_port_is_used_again_while_it_is_free() -> None:
    kept = ports.free_port()
    assert choose(kept) == (kept, [])


def test_a_kept_port_that_is_taken_is_replaced_and_its_holder_named(taken: int) -> None:
    port, said = choose(taken)
    assert port != taken
    assert f"pid {os.getpid()}" in said[0]
    assert str(port) in said[0]


def test_the_port_of_the_environment_goes_before_the_kept_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ports.free_port()
    monkeypatch.setenv(VARIABLE, str(asked))
    assert choose(ports.free_port()) == (asked, [])


def test_a_taken_port_of_the_environment_is_an_error_that_names_the_holder(
    monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.setenv(VARIABLE, str(taken))
    with pytest.raises(DevstackError, match=rf"{VARIABLE}={taken}.*pid {os.getpid()}"):
        choose(None)


@pytest.mark.parametrize("text", ["x", "-1", "0", "65536", "1.5", "80 81"])
def test_what_is_no_port_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(DevstackError, match="is not a port"):
        choose(None)


def test_a_connection_that_closed_a_moment_ago_does_not_make_a_port_taken() -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL and Java do
        listener.bind((ports.HOST, 0))
        listener.listen(1)
        address = listener.getsockname()
        with socket.create_connection(address) as client:
            server, _ = listener.accept()
            server.close()  # closed first on this side: the port is left in TIME_WAIT
            client.recv(1)
    assert ports.is_free(address[1])
