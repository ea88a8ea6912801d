"""Finding, starting and ending the servers' processes.

A server is recognised by its command line, which holds the path of its data. No pid is kept in a file, so none can
go stale and point to a stranger.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from devstack.errors import DevstackError

PAUSE_SECONDS = 0.05
LOOKS = 3
KILL_SECONDS = 10

if sys.platform == "win32":
    _DETACHED = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _DETACHED = 0


def find(matches: Callable[[list[str]], bool]) -> psutil.Process | None:
    """The oldest running process whose command line `matches`, or None. Zombies have no command line.

    One that executes itself anew, as Java's launcher does, has none for a moment: one empty look is not believed.
    """
    for _ in range(LOOKS):
        found = [process for process, arguments in _command_lines() if matches(arguments)]
        if found:
            return min(found, key=lambda process: process.info["create_time"] or 0)
        time.sleep(PAUSE_SECONDS)
    return None


def working_in(folder: Path, name: str) -> list[psutil.Process]:
    """The processes called `name` whose working directory is `folder`."""
    found = []
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error, OSError):
            if (process.info["name"] or "").startswith(name) and Path(process.cwd()) == folder:
                found.append(process)
    return found


def _command_lines() -> Iterator[tuple[psutil.Process, list[str]]]:
    for process in psutil.process_iter(["cmdline", "create_time"]):
        if arguments := process.info["cmdline"]:
            yield process, arguments


def start_detached(command: list[str], *, log: Path, folder: Path) -> None:
    """Starts a server of its own session (Ctrl-C in this terminal does not reach it), its output appended to `log`."""
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - our own command, no shell
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            creationflags=_DETACHED,
        )
    child.returncode = 0  # it outlives this process, whose destructor would complain of a child not waited for


def end(process: psutil.Process, *, seconds: float) -> None:
    """Asks the process to end, and after `seconds` kills it."""
    try:
        process.terminate()
        if not wait_for(lambda: is_gone(process), seconds=seconds):
            process.kill()
            wait_for(lambda: is_gone(process), seconds=KILL_SECONDS)
    except psutil.NoSuchProcess:
        pass
    except psutil.AccessDenied as error:
        owner = process.username()
        raise DevstackError(f"Process {process.pid} belongs to {owner}: run this command as {owner}.") from error


def is_gone(process: psutil.Process) -> bool:
    """True once it has ended: also a zombie that its parent has not collected yet, if its last thread has ended.

    Until then (a killed JVM takes a moment) its ports and file locks are still held.
    """
    try:
        if not process.is_running():
            return True
        return bool(process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1)
    except psutil.NoSuchProcess:  # ZombieProcess, where the system tells no more of one, is of this kind
        return True


def wait_for(condition: Callable[[], bool], *, seconds: float) -> bool:
    """True as soon as the condition holds, False if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, indented, under its path, as an error message shows them; without Java's call stacks."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    told = [line for line in text.splitlines() if not line.startswith("\tat ")]
    shown = "\n".join(f"  | {line}" for line in told[-lines:]) or "  | (empty)"
    return f"The end of {log}:\n{shown}"
