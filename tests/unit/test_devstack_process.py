"""Finding and ending processes by their command line."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from devstack import process

SLEEPER = [sys.executable, "-c", "input()"]


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([*SLEEPER, str(tmp_path)], stdin=subprocess.PIPE, cwd=tmp_path) as child:
        yield child
        child.kill()


def test_a_process_is_found_by_its_arguments(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    found = process.find(lambda arguments: arguments[-1] == str(tmp_path))
    assert found is not None
    assert found.pid == sleeper.pid


def test_nothing_is_found_where_nothing_runs(tmp_path: Path) -> None:
    assert process.find(lambda arguments: arguments[-1] == str(tmp_path)) is None


def test_an_ended_process_is_gone_even_before_its_parent_collects_it(sleeper: subprocess.Popen[bytes]) -> None:
    running = psutil.Process(sleeper.pid)
    assert not process.is_gone(running)
    process.end(running, seconds=10)
    assert process.is_gone(running)


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    stubborn = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", stubborn], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()  # it ignores the signal from here on
        process.end(psutil.Process(child.pid), seconds=0.2)
        assert process.is_gone(psutil.Process(child.pid))


def test_a_detached_process_has_its_own_session_and_logs_to_its_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = "import os; print(os.getsid(0) == os.getpid())"
    process.start_detached([sys.executable, "-c", program], log=log, folder=tmp_path)
    assert process.wait_for(lambda: log.read_text() == "True\n", seconds=20)


def test_the_tail_of_a_log_names_the_log_and_shows_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    log.write_bytes(b"\n".join(b"line %d \xff" % number for number in range(100)))
    shown = process.tail(log, lines=3).splitlines()
    assert str(log) in shown[0]
    assert [line.split()[2] for line in shown[1:]] == ["97", "98", "99"]
    assert "(empty)" in process.tail(tmp_path / "absent")
