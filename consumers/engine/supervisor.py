"""Several processes of one command, watched: the members of a group on one machine.

It knows nothing of what they do: it starts them, starts again the one that dies, passes signals on and adds up what
they report. It runs in an interpreter of its own that has loaded neither Django nor the clients of broker and database:
`consume --processes` replaces itself by it (`command_line`). Each child is a command as if typed by hand.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from selectors import DefaultSelector
from typing import Any

from consumers.core.summaries import add_up, longest
from consumers.engine.child import Child
from consumers.engine.console import Console
from consumers.engine.front import Front, cannot_serve
from consumers.engine.headline import Headline
from consumers.engine.place import Place, RestartPolicy, how_it_ended

NUMBER = "{number}"
"""Stands in a command for the number of the process, counted from 1."""

_TICK = 0.1
"""Seconds between two looks at the children, the signals and the clock."""
_FAULT, _WRONG, _ABORTED = 1, 2, 130


class Supervisor:
    """Runs N processes of a command until all have ended by themselves, or all have drained after a signal."""

    def __init__(
        self, command: Sequence[str], processes: int, console: Console, policy: RestartPolicy | None = None
    ) -> None:
        """In the command NUMBER stands for a process's number."""
        self._command = command
        self._console = console
        self._policy = policy or RestartPolicy()
        self._selector = DefaultSelector()
        self._places = [Place(number) for number in range(1, processes + 1)]
        self._headline = Headline(self._places)
        self._code = 0
        self._signals = 0
        self._is_draining = False
        self._is_aborting = False
        self._kill_at = float("inf")

    def run(self) -> int:
        """Returns the exit code: 0 when all have ended well or drained, 1 when one failed for good, 2 when one found
        the configuration wrong, 130 when a second signal aborted them."""
        with self._selector, self._heeding_signals():
            while any(place.code is None for place in self._places):
                self._turn()
        self._console.end(self._headline.last())
        return _ABORTED if self._is_aborting else self._code

    def summary(self) -> dict[str, Any]:
        """The totals and each process's own. A process that was killed counts as far as it had reported, up to half a
        second before; `complete` is then false, and the ledger knows better."""
        each = [place.summary() for place in self._places]
        return {
            **add_up(each),
            "seconds": longest(each),
            "restarts": sum(place.restarts for place in self._places),
            "complete": all(place.is_complete for place in self._places),
            "processes": each,
        }

    def restarts(self) -> list[int]:
        """How often each process was started again."""
        return [place.restarts for place in self._places]

    # ---- one turn ---------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        for key, _ in self._selector.select(_TICK):
            key.data()
        for place in self._places:
            code = place.child.poll() if place.child else None
            if place.child and code is not None:
                self._ended(place, place.child, code)
            elif not place.child and place.code is None and time.monotonic() >= place.due:
                self._start(place)
        self._obey()
        self._console.progress(self._headline.now())

    def _start(self, place: Place) -> None:
        command = [str(place.number) if word == NUMBER else word for word in self._command]
        try:
            place.child = Child(command, self._selector, partial(self._console.of_child, place.number))
        except OSError as error:
            self._failed(place, f"could not be started: {error}", 0.0)
        else:
            self._console.log("INFO", f"process {place.number} has pid {place.child.pid}")

    def _ended(self, place: Place, child: Child, code: int) -> None:
        place.bury(child)
        how = how_it_ended(code)
        if self._is_draining:
            # Killed by our own first signal, before it could listen to one: it had not begun.
            place.code = 0 if code == -signal.SIGTERM else code
            self._worst(_FAULT if place.code else 0)
            self._console.log("INFO" if place.code == 0 else "WARNING", f"process {place.number} {how}")
        elif code == 0:
            place.code = 0
            self._console.log("INFO", f"process {place.number} has ended by itself")
        elif code == _WRONG and not place.restarts:
            self._give_up(place, code, f"{how}, wrong usage or configuration: {child.last_line}", _WRONG)
        else:
            self._failed(place, f"{how}: {child.last_line or 'without a word'}", child.age, code)

    # ---- failures ---------------------------------------------------------------------------------------------------

    def _failed(self, place: Place, how: str, lived: float, code: int = _FAULT) -> None:
        place.failures = place.failures + 1 if lived <= self._policy.at_once else 1
        if place.failures >= self._policy.attempts:
            times = f"{place.failures} times in a row" if place.failures > 1 else "once"
            self._give_up(place, code, f"failed at once {times}; the last {how}", _FAULT)
            return
        pause = self._policy.backoff.delay(place.failures)
        place.due = time.monotonic() + pause
        place.restarts += 1
        self._console.log("WARNING", f"process {place.number} {how}; it is started again in {pause:.1f} s")

    def _give_up(self, place: Place, code: int, why: str, own_code: int) -> None:
        place.code = code
        self._worst(own_code)
        self._console.log("ERROR", f"process {place.number} {why}")
        self._drain("draining the others")

    def _worst(self, code: int) -> None:
        self._code = max(self._code, code)

    # ---- stopping ---------------------------------------------------------------------------------------------------

    def _obey(self) -> None:
        """What the signals ask for, one step a turn: two of a kind that a child gets at the same moment are one."""
        if self._signals and not self._is_draining:
            self._drain("draining all; a second signal aborts")
        elif self._signals > 1 and not self._is_aborting:
            self._abort()
        elif time.monotonic() >= self._kill_at:
            self._kill()

    def _drain(self, why: str) -> None:
        """None is started any more, those that run are asked to drain."""
        if self._is_draining:
            return
        self._is_draining = True
        self._console.log("INFO", why)
        for place in self._places:
            if place.child:
                place.child.terminate()
            elif place.code is None:
                place.code = 0

    def _abort(self) -> None:
        self._is_aborting = True
        self._kill_at = time.monotonic() + self._policy.abort
        self._console.log("INFO", "aborting all")
        for place in self._places:
            if place.child:
                place.child.terminate()

    def _kill(self) -> None:
        self._kill_at = float("inf")
        for place in self._places:
            if place.child:
                self._console.log("WARNING", f"process {place.number} does not abort: it is killed")
                place.child.kill()

    @contextmanager
    def _heeding_signals(self) -> Iterator[None]:
        def heed(number: int, frame: object) -> None:
            self._signals += 1

        before = {number: signal.signal(number, heed) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def command_line(
    processes: int, as_json: bool, command: Sequence[str], metrics: tuple[str, int] = ("", 0), *, log_json: bool = False
) -> list[str]:
    """The command that supervises `processes` of `command`, in an interpreter that loads only what is needed here.
    `metrics` is where it is to serve theirs, a port of 0 for nowhere; with `log_json` its log is of JSON objects."""
    root = str(Path(__file__).resolve().parents[2])
    program = f"import sys; sys.path.insert(0, {root!r}); from consumers.engine.supervisor import main; main()"
    options = ["--processes", str(processes), *(["--json"] if as_json else [])]
    host, port = metrics
    options += ["--metrics-host", host, "--metrics-port", str(port)] if port else []
    options += ["--log-json"] if log_json else []
    return [sys.executable, "-c", program, *options, "--", *command]


def _front(options: argparse.Namespace, supervisor: Supervisor) -> Front:
    try:
        return Front(options.metrics_host, options.metrics_port, supervisor.restarts)
    except (OSError, OverflowError) as error:
        where = f"{options.metrics_host}:{options.metrics_port}"
        Console(sys.stderr, as_json=options.log_json).log("ERROR", cannot_serve(where, error))
        sys.exit(_WRONG)


def main() -> None:
    parser = argparse.ArgumentParser(prog="supervisor", description="Run several processes of a command.")
    parser.add_argument("--processes", type=int, required=True, metavar="N")
    parser.add_argument("--json", action="store_true", help="print a summary as JSON on stdout at exit")
    parser.add_argument("--metrics-host", default="127.0.0.1", metavar="HOST")
    parser.add_argument("--metrics-port", type=int, default=0, metavar="N")
    parser.add_argument("--log-json", action="store_true")
    parser.add_argument("command", nargs="+", help=f"{NUMBER} in it stands for the process's number")
    options = parser.parse_args()
    supervisor = Supervisor(options.command, options.processes, Console(sys.stderr, as_json=options.log_json))
    with ExitStack() as stack:
        if options.metrics_port:
            stack.enter_context(_front(options, supervisor))
        code = supervisor.run()
    if options.json:
        print(json.dumps(supervisor.summary()))  # noqa: T201  (there is no command's stdout here)
    sys.exit(code)
