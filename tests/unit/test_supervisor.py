"""The supervisor over small programs: it starts, starts again, gives up, drains, aborts, and leaves no orphan."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from consumers.core.policies import Backoff
from consumers.core.records import TopicPartition
from consumers.engine.child import Lines
from consumers.engine.console import Console
from consumers.engine.headline import Headline
from consumers.engine.partitions import Partition
from consumers.engine.place import Place, RestartPolicy, how_it_ended
from consumers.engine.supervisor import NUMBER, Supervisor, command_line
from consumers.management.commands.consume import lag
from consumers.management.member import command_of_member

PATIENCE = 60.0
SOON = Backoff(first=0.01, cap=0.02)

# What every child starts with: it can report, and knows which of the lives of its number this is.
PRELUDE = """
import json, os, pathlib, signal, socket, sys, time
number, folder = sys.argv[1], pathlib.Path(sys.argv[2])
lifeline = socket.socket(fileno=0)
life = len(list(folder.glob(f"life-{number}-*"))) + 1
(folder / f"life-{number}-{life}").write_text(str(os.getpid()))
def report(final=False, **counts):
    message = {"final": final, "lag": counts.pop("lag", None), "summary": {"seconds": 1.5, **counts}}
    lifeline.sendall(json.dumps(message).encode() + b"\\n")
def say(text):
    sys.stderr.write(text + "\\n")
def mark(name):
    (folder / f"{name}-{number}").touch()
def await_mark(name):
    while not (folder / name).exists():
        time.sleep(0.01)
"""
UNTIL_TOLD = """
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
mark("up")
while not told:
    time.sleep(0.01)
"""


class Family:
    """A supervisor of children that run a script, in this process."""

    def __init__(self, script: str, folder: Path, processes: int = 2, **policy: Any) -> None:
        self.folder = folder
        self.err = io.StringIO()
        command = [sys.executable, "-c", PRELUDE + script, NUMBER, str(folder)]
        policies = RestartPolicy(**{"backoff": SOON, **policy})
        self.supervisor = Supervisor(command, processes, Console(self.err), policies)

    def run(self) -> int:
        return self.supervisor.run()

    def lives(self, number: int) -> int:
        return len(list(self.folder.glob(f"life-{number}-*")))

    @property
    def log(self) -> str:
        return self.err.getvalue()

    def send(self, number: int, *conditions: Callable[[], object]) -> threading.Thread:
        """Send this process a signal as soon as the first condition holds, another when the second does, and so on."""

        def work() -> None:
            for condition in conditions:
                wait_until(condition)
                os.kill(os.getpid(), number)

        thread = threading.Thread(target=work)
        thread.start()
        return thread


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether there is such a process; one that has ended and was not yet collected does not count."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def supervising(script: str, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A supervisor as `consume --processes` becomes it, a process."""
    command = command_line(2, "--json" in options, [sys.executable, "-c", PRELUDE + script, NUMBER, str(folder)])
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


# ---- starting and ending ---------------------------------------------------------------------------------------------


def test_it_ends_when_all_have_ended_by_themselves_and_adds_up_what_they_reported(tmp_path: Path) -> None:
    family = Family("report(received=1)\nreport(True, received=10 * int(number), written=int(number))", tmp_path, 3)
    assert family.run() == 0
    summary = family.supervisor.summary()
    assert (summary["received"], summary["written"], summary["failed"]) == (60, 6, 0)
    assert (summary["seconds"], summary["restarts"], summary["complete"]) == (1.5, 0, True)
    assert [(one["process"], one["received"], one["exit_code"]) for one in summary["processes"]] == [
        (1, 10, 0),
        (2, 20, 0),
        (3, 30, 0),
    ]


def test_what_a_child_says_is_passed_on_with_its_number_before_each_line(tmp_path: Path) -> None:
    family = Family('sys.stderr.write("one\\ntwo\\nlast without an end")', tmp_path)
    assert family.run() == 0
    lines = family.log.splitlines()
    for number in (1, 2):
        assert [line for line in lines if line.startswith(f"[{number}] ")] == [
            f"[{number}] one",
            f"[{number}] two",
            f"[{number}] last without an end",
        ]


def test_children_are_in_process_groups_of_their_own_so_that_ctrl_c_counts_once(tmp_path: Path) -> None:
    family = Family("report(True, received=int(os.getpgid(0) == os.getpid()))", tmp_path)
    assert family.run() == 0
    assert family.supervisor.summary()["received"] == 2


def test_signal_handlers_are_as_before_once_it_has_ended(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    assert Family("", tmp_path, 1).run() == 0
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


# ---- dying -----------------------------------------------------------------------------------------------------------


def test_one_that_dies_is_started_again_and_what_it_had_reported_still_counts(tmp_path: Path) -> None:
    family = Family(
        "report(received=100)\n"
        "if (number, life) == ('1', 1): os.kill(os.getpid(), signal.SIGKILL)\n"
        "report(True, received=7)",
        tmp_path,
    )
    assert family.run() == 0
    assert (family.lives(1), family.lives(2)) == (2, 1)
    summary = family.supervisor.summary()
    assert summary["received"] == 100 + 7 + 7
    assert (summary["restarts"], summary["complete"]) == (1, False)
    assert "process 1 was killed by SIGKILL" in family.log


def test_one_that_fails_at_once_again_and_again_is_given_up_with_its_last_error_and_the_others_drain(
    tmp_path: Path,
) -> None:
    failing = "if number == '1': await_mark('up-2'); say(f'CommandError: flood no. {life}'); say(''); sys.exit(1)\n"
    family = Family(failing + UNTIL_TOLD + "report(True, received=5)", tmp_path, attempts=3)
    assert family.run() == 1
    assert (family.lives(1), family.lives(2)) == (3, 1)
    [error] = [line for line in family.log.splitlines() if " ERROR " in line]
    assert error.endswith(
        "process 1 failed at once 3 times in a row; the last ended with exit code 1: CommandError: flood no. 3"
    )
    assert [one["exit_code"] for one in family.supervisor.summary()["processes"]] == [1, 0]
    assert family.supervisor.summary()["received"] == 5


def test_failures_of_one_that_had_lived_longer_do_not_add_up(tmp_path: Path) -> None:
    # Every life counts as a long one: more of them than attempts are no reason to give up.
    family = Family("sys.exit(1 if life < 6 else 0)", tmp_path, 1, attempts=2, at_once=0.0)
    assert family.run() == 0
    assert family.lives(1) == 6


def test_pauses_between_restarts_follow_the_backoff(tmp_path: Path) -> None:
    backoff = Backoff(first=0.1, factor=3.0, cap=0.5, jitter=0.0)
    family = Family("sys.exit(1 if life < 4 else 0)", tmp_path, 1, backoff=backoff)
    assert family.run() == 0
    pauses = [line.rsplit("again in ")[1] for line in family.log.splitlines() if "again in" in line]
    assert pauses == ["0.1 s", "0.3 s", "0.5 s"]


def test_a_wrong_configuration_is_not_tried_again_and_the_others_drain(tmp_path: Path) -> None:
    wrong = "if number == '1': await_mark('up-2'); say('CommandError: no such topic'); sys.exit(2)\n"
    family = Family(wrong + UNTIL_TOLD, tmp_path)
    assert family.run() == 2
    assert (family.lives(1), family.lives(2)) == (1, 1)
    assert "wrong usage or configuration: CommandError: no such topic" in family.log


def test_a_configuration_that_served_before_is_tried_again(tmp_path: Path) -> None:
    # A consumer says 2, too, when the database does not answer as it starts.
    family = Family("sys.exit({1: 1, 2: 2}.get(life, 0))", tmp_path, 1)
    assert family.run() == 0
    assert family.lives(1) == 3


def test_a_program_that_cannot_be_started_is_given_up_with_the_reason(tmp_path: Path) -> None:
    err = io.StringIO()
    missing = str(tmp_path / "no-such-program")
    assert Supervisor([missing], 2, Console(err), RestartPolicy(backoff=SOON, attempts=2)).run() == 1
    assert "failed at once 2 times in a row; the last could not be started: " in err.getvalue()
    assert missing in err.getvalue()


# ---- signals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_drains_all(tmp_path: Path, number: int) -> None:
    family = Family(UNTIL_TOLD + "report(True, received=len(told))", tmp_path)
    sender = family.send(number, lambda: (tmp_path / "up-1").exists() and (tmp_path / "up-2").exists())
    assert family.run() == 0
    sender.join()
    assert family.supervisor.summary()["received"] == 2


def test_a_failure_while_draining_is_not_started_again_and_is_told_by_the_exit_code(tmp_path: Path) -> None:
    family = Family(UNTIL_TOLD + "sys.exit(1 if number == '1' else 0)", tmp_path)
    sender = family.send(signal.SIGTERM, lambda: (tmp_path / "up-1").exists() and (tmp_path / "up-2").exists())
    assert family.run() == 1
    sender.join()
    assert (family.lives(1), family.lives(2)) == (1, 1)


def test_one_that_waits_for_its_restart_is_not_started_once_all_are_told_to_drain(tmp_path: Path) -> None:
    never = Backoff(first=3_600.0, cap=3_600.0)
    family = Family("if number == '1': sys.exit(1)\n" + UNTIL_TOLD, tmp_path, backoff=never)
    sender = family.send(signal.SIGTERM, lambda: "again in" in family.log and (tmp_path / "up-2").exists())
    assert family.run() == 0
    sender.join()
    assert (family.lives(1), family.lives(2)) == (1, 1)


def test_a_second_signal_aborts_all(tmp_path: Path) -> None:
    stubborn = UNTIL_TOLD + "mark('told')\nwhile len(told) < 2: time.sleep(0.01)\nsys.exit(130)"
    family = Family(stubborn, tmp_path)
    sender = family.send(
        signal.SIGTERM,
        lambda: (tmp_path / "up-1").exists() and (tmp_path / "up-2").exists(),
        lambda: (tmp_path / "told-1").exists() and (tmp_path / "told-2").exists(),
    )
    assert family.run() == 130
    sender.join()


def test_what_does_not_abort_is_killed(tmp_path: Path) -> None:
    deaf = UNTIL_TOLD + "mark('told')\nwhile True: time.sleep(60)"
    family = Family(deaf, tmp_path, 1, abort=0.2)
    sender = family.send(signal.SIGTERM, lambda: (tmp_path / "up-1").exists(), lambda: (tmp_path / "told-1").exists())
    assert family.run() == 130
    sender.join()
    assert "process 1 does not abort: it is killed" in family.log


# ---- the supervisor's own process ------------------------------------------------------------------------------------


def test_its_process_prints_the_summary_and_ends_with_the_exit_code(tmp_path: Path) -> None:
    # One write a line, as a logging handler does it: print() makes two of them where Python does not buffer.
    told = "report(True, received=int(number)); os.write(1, b'from a child\\n')"
    with supervising(told, tmp_path, "--json") as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    *before, summary = out.splitlines()
    assert before == ["from a child"] * 2
    assert json.loads(summary)["received"] == 3


def test_ctrl_c_on_a_terminal_reaches_each_child_once_and_progress_is_shown(tmp_path: Path) -> None:
    counting = (
        "signal.signal(signal.SIGINT, lambda *_: told.append(1))\n"
        + UNTIL_TOLD
        + "mark('told')\nwhile not (folder / 'go').exists(): time.sleep(0.01)\nreport(True, received=len(told))"
    )
    command = command_line(2, True, [sys.executable, "-c", PRELUDE + counting, NUMBER, str(tmp_path)])
    terminal = [sys.executable, "-c", f"import pty, os; os._exit(os.waitstatus_to_exitcode(pty.spawn({command!r})))"]
    with subprocess.Popen(terminal, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            wait_until(lambda: all((tmp_path / f"up-{number}").exists() for number in (1, 2)))
            process.stdin.write(b"\x03")
            process.stdin.flush()
            wait_until(lambda: all((tmp_path / f"told-{number}").exists() for number in (1, 2)))
            (tmp_path / "go").touch()
            out, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    screen = out.decode()
    assert process.returncode == 0, screen
    assert json.loads(screen.splitlines()[-1])["received"] == 2, screen
    assert "2 processes 2 (" in screen
    assert "draining all; a second signal aborts" in screen


def test_children_notice_that_the_supervisor_was_killed(tmp_path: Path) -> None:
    orphan = "mark('up')\nassert lifeline.recv(1) == b''\nmark('noticed')"
    with supervising(orphan, tmp_path) as process:
        wait_until(lambda: (tmp_path / "up-1").exists() and (tmp_path / "up-2").exists())
        process.kill()
        wait_until(lambda: (tmp_path / "noticed-1").exists() and (tmp_path / "noticed-2").exists())
    wait_until(lambda: not any(is_alive(int(path.read_text())) for path in tmp_path.glob("life-*")))


def test_it_loads_neither_django_nor_a_client() -> None:
    program = "import sys, consumers.engine.supervisor; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "consumers" in loaded
    assert loaded.isdisjoint({"django", "confluent_kafka", "psycopg", "psycopg_pool", "gevent", "msgspec"})


# ---- parts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "member"),
    [
        ("manage.py consume clicks --processes 2", f"manage.py consume clicks --member {NUMBER}"),
        ("manage.py consume --processes=2 clicks --json", f"manage.py consume --member {NUMBER} clicks --json"),
        ("manage.py consume_clicks --proc 2 --group g", f"manage.py consume_clicks --member {NUMBER} --group g"),
        ("-X dev manage.py consume clicks --processes 12", f"-X dev manage.py consume clicks --member {NUMBER}"),
        (
            "-m django consume clicks --pythonpath . --processes 2",
            f"-m django consume clicks --pythonpath . --member {NUMBER}",
        ),
    ],
)
def test_a_member_is_the_same_command_with_its_number(typed: str, member: str) -> None:
    assert command_of_member(["python", *typed.split()]) == [sys.executable, *member.split()]


def test_lines_are_put_together_from_whatever_pieces_come() -> None:
    taken: list[str] = []
    lines = Lines(taken.append)
    for piece in (b"a", b"b\nc\n\nd", "é".encode()[:1], "é".encode()[1:], b"\n", b"end"):
        lines.feed(piece)
    lines.end()
    lines.end()
    assert taken == ["ab", "c", "", "dé", "end"]


def test_a_line_without_an_end_is_not_waited_for_for_ever() -> None:
    taken: list[str] = []
    lines = Lines(taken.append)
    for _ in range(3):
        lines.feed(b"x" * 50_000)
    assert [len(line) for line in taken] == [100_000]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_line_of_the_log_replaces_the_progress_which_follows_it() -> None:
    screen = Terminal()
    console = Console(screen)
    console.progress("2 processes 10")
    console.line("[1] hello")
    console.end("2 processes 20")
    console.line("bye")
    clear = "\r\x1b[K"
    assert screen.getvalue() == (f"{clear}2 processes 10{clear}[1] hello\n2 processes 10{clear}2 processes 20\nbye\n")


def test_progress_tells_of_all_together_what_children_report(tmp_path: Path) -> None:
    script = "report(received=10, failed=2, lag=70)\nwhile not (folder / 'go').exists(): time.sleep(0.01)"
    family = Family(script, tmp_path)
    screen = Terminal()
    family.supervisor._console = Console(screen)

    def let_go() -> None:
        wait_until(lambda: "lag 140" in screen.getvalue())
        (tmp_path / "go").touch()

    thread = threading.Thread(target=let_go)
    thread.start()
    assert family.run() == 0
    thread.join()
    *_, last = screen.getvalue().split("\x1b[K")
    assert last == "2 processes 20 (13/s) | 4 failed | [1] 10 2 failed | [2] 10 2 failed\n"


def at(number: int, lag: int | None = None, **place: Any) -> Any:
    """A place as its child has reported so far."""
    child: Any = SimpleNamespace(report={"seconds": 100.0, "received": 0}, lag=lag)
    return Place(number, child, **place)


def test_the_headline_has_the_rate_of_the_last_seconds_and_at_the_end_that_of_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("consumers.engine.headline.time.monotonic", lambda: clock.now)
    place = at(1)
    headline = Headline([place])
    for second in range(100):
        clock.now, place.child.report["received"] = second, 10 * second
        headline.now()
    assert headline.now().startswith("1 processes 990 (10/s)")
    clock.now, place.child.report["received"] = 104.0, 1_490
    assert headline.now().startswith("1 processes 1,490 (100/s)")
    clock.now = 120.0
    headline.now()
    clock.now = 130.0
    assert headline.now().startswith("1 processes 1,490 (0/s)")
    assert headline.last().startswith("1 processes 1,490 (15/s)")


def test_the_headline_names_lag_failures_and_restarts_of_all_before_those_of_each() -> None:
    places = [at(1, lag=1_200), at(2, lag=300, restarts=1), at(3)]
    places[0].child.report["failed"] = 7
    text = Headline(places).now()
    assert text.split(" | ")[1:4] == ["lag 1,500", "7 failed", "1 restart"]
    assert "lag" not in Headline([at(1)]).now()


def test_a_child_tells_the_lag_of_the_partitions_of_which_it_is_known() -> None:
    def holding(*ends: tuple[int, int]) -> Any:
        partitions = [Partition(TopicPartition("t", n), 0, settled=s, end=e) for n, (s, e) in enumerate(ends)]
        return SimpleNamespace(runners=[SimpleNamespace(partitions=partitions)])

    assert lag(holding((10, 25), (-1, 90), (7, 7), (3, -1))) == 15
    assert lag(holding((7, 7))) == 0
    assert lag(holding((-1, 90))) is None


def test_without_a_terminal_there_is_no_progress() -> None:
    stream = io.StringIO()
    console = Console(stream)
    console.progress("2 processes 10")
    console.end("2 processes 10")
    assert stream.getvalue() == ""


def test_a_log_of_json_objects_has_no_line_that_is_none() -> None:
    stream = io.StringIO()
    console = Console(stream, as_json=True)
    console.log("WARNING", "process 1 died: \x1b[2J\nforged")
    console.of_child(1, '{"level": "INFO"}')
    own, child = map(json.loads, stream.getvalue().splitlines())
    assert (own["level"], own["logger"]) == ("WARNING", "consumers.supervisor")
    assert own["pid"] == os.getpid()
    assert child == {"level": "INFO"}


def test_the_supervisors_command_tells_where_metrics_are_served() -> None:
    words = command_line(2, False, ["x"], ("127.0.0.1", 9400), log_json=True)
    assert "--metrics-host 127.0.0.1 --metrics-port 9400 --log-json -- x" in " ".join(words)
    assert "--metrics-port" not in command_line(2, False, ["x"])


def test_how_a_process_ended_is_said_in_words() -> None:
    assert how_it_ended(3) == "ended with exit code 3"
    assert how_it_ended(-9) == "was killed by SIGKILL"
    assert how_it_ended(-250) == "was killed by signal 250"
