"""The local stack from first start to stop, beside the one that the suite uses: its own folder, its own servers."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from devstack import process
from devstack.addresses import Addresses

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.name == "nt", reason="uses signals")]

CHECKOUT = Path(__file__).resolve().parents[2]
OWN = ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "DEVSTACK_POSTGRES_PORT", "DEVSTACK_KAFKA_PORT")
TEXT = "kept"
TOPIC = "kept"
RECORD = b"x" * 20_000_000


class Stack:
    """Runs `manage.py devstack` on a state folder of its own."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        # Empty rather than absent, so that a .env of the checkout does not fill them in.
        self.environment = os.environ | dict.fromkeys(OWN, "") | {"DEVSTACK_DIR": str(state_dir)}

    def run(self, *arguments: str) -> str:
        done = self.attempt(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def attempt(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", "devstack", *arguments],
            cwd=CHECKOUT,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "manage.py", "devstack", *arguments]
        return subprocess.Popen(command, cwd=CHECKOUT, env=self.environment, stdout=subprocess.PIPE, text=True)

    def status(self) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.run("status", "--json"))
        return shown

    def addresses(self) -> Addresses:
        shown = self.status()
        return Addresses(shown["database_url"], shown["bootstrap_servers"])


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    # Not tmp_path: pytest closes that to other users, and run by root PostgreSQL is one. That case has its own test.
    state_dir = Path(tempfile.mkdtemp(prefix="devstack-test-"))
    state_dir.chmod(0o755)
    stack = Stack(state_dir)
    yield stack
    stack.attempt("down")
    shutil.rmtree(state_dir.joinpath("postgres").resolve(), ignore_errors=True)
    shutil.rmtree(state_dir)


def test_a_stack_starts_once_survives_kills_and_a_taken_port_and_stops(own_stack: Stack) -> None:
    both = [own_stack.start("up"), own_stack.start("up")]
    said = [each.communicate()[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert sorted(text.count("already running") for text in said) == [0, 2]

    addresses = own_stack.addresses()
    keep_a_row(addresses.database_url)
    keep_a_record(addresses.bootstrap_servers)
    kill_both(own_stack.status())
    with listener_on(addresses.bootstrap_servers):
        assert f"its port {addresses.bootstrap_servers.split(':')[1]} is taken by" in own_stack.run("up")

    after = own_stack.addresses()
    assert after.database_url == addresses.database_url
    assert after.bootstrap_servers != addresses.bootstrap_servers
    assert kept_row(after.database_url) == TEXT
    for protocol in ("classic", "consumer"):
        assert kept_record(after.bootstrap_servers, protocol) == RECORD

    running = [psutil.Process(own_stack.status()[name]["pid"]) for name in ("postgres", "kafka")]
    assert own_stack.run("down").count("stopped") == 2
    assert all(process.is_gone(each) for each in running)
    assert own_stack.run("down").count("not running") == 2
    assert [own_stack.status()[name]["running"] for name in ("postgres", "kafka")] == [False, False]


def test_one_server_can_be_stopped_alone_and_what_a_crash_left_is_made_again(own_stack: Stack) -> None:
    half_made = own_stack.state_dir / "postgres" / "data.new" / "junk"
    half_made.parent.mkdir(parents=True)
    half_made.touch()
    half_made.parent.parent.chmod(0o777)
    own_stack.run("up", "--only", "postgres")
    assert not half_made.exists()
    shown = own_stack.status()
    assert (shown["postgres"]["running"], shown["kafka"]["running"]) == (True, False)

    own_stack.run("down", "--only", "kafka")
    assert own_stack.status()["postgres"]["pid"] == shown["postgres"]["pid"]

    own_stack.run("down", "--only", "postgres")
    stale = own_stack.state_dir / "postgres" / "data" / "postmaster.pid"
    stale.write_text(f"{os.getppid()}\n")  # the pid of a process that lives and is no server
    own_stack.run("up", "--only", "postgres")
    psycopg.connect(own_stack.addresses().database_url).close()


def test_a_broker_that_does_not_come_up_is_shown_by_its_log(own_stack: Stack) -> None:
    broken = own_stack.state_dir / "kafka"
    (broken / "data").mkdir(parents=True)
    (broken / "data" / "meta.properties").write_text("version=1\ncluster.id=other\nnode.id=7\n")
    (broken / "formatted").touch()
    done = own_stack.attempt("up", "--only", "kafka")
    assert done.returncode != 0
    assert f"The end of {broken / 'kafka.log'}:" in done.stderr
    assert "node id matches" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_of_the_environment_is_an_error_of_one_line(own_stack: Stack) -> None:
    with listener_on("127.0.0.1:0") as port:
        done = own_stack.attempt("up", "--only", "postgres", DEVSTACK_POSTGRES_PORT=str(port))
    assert done.returncode != 0
    assert f"CommandError: DEVSTACK_POSTGRES_PORT={port}: the port is taken by " in done.stderr
    assert f"(pid {os.getpid()})" in done.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root needs another user")
def test_root_needs_no_permission_loosened_where_the_other_user_cannot_look(own_stack: Stack) -> None:
    own_stack.state_dir.chmod(0o700)
    own_stack.run("up", "--only", "postgres")
    psycopg.connect(own_stack.addresses().database_url).close()
    assert own_stack.state_dir.stat().st_mode & 0o777 == 0o700
    assert (own_stack.state_dir / "postgres").is_symlink()


def keep_a_row(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT %s AS text", [TEXT])


def kept_row(database_url: str) -> Any:
    with psycopg.connect(database_url) as connection:
        return connection.execute("SELECT text FROM kept").fetchone()[0]  # type: ignore[index]


def keep_a_record(servers: str) -> None:
    producer = Producer({"bootstrap.servers": servers, "message.max.bytes": 30_000_000, "acks": "all"})
    failures: list[Any] = []
    producer.produce(TOPIC, RECORD, on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(30) == 0
    assert failures == [None]
    assert len(AdminClient({"bootstrap.servers": servers}).list_topics(TOPIC, timeout=10).topics[TOPIC].partitions) == 6


def kept_record(servers: str, protocol: str) -> bytes | None:
    group = {"group.id": protocol, "group.protocol": protocol, "auto.offset.reset": "earliest"}
    consumer = Consumer({"bootstrap.servers": servers, **group})
    try:
        consumer.subscribe([TOPIC])
        message = consumer.poll(30)
        return message.value() if message and not message.error() else None
    finally:
        consumer.close()


def kill_both(shown: dict[str, Any]) -> None:
    running = [psutil.Process(shown[name]["pid"]) for name in ("postgres", "kafka")]
    for each in running:
        each.send_signal(signal.SIGKILL)
    assert process.wait_for(lambda: all(process.is_gone(each) for each in running), seconds=20)


@contextlib.contextmanager
def listener_on(address: str) -> Iterator[int]:
    host, port = address.split(":")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen(1)
        yield listener.getsockname()[1]
