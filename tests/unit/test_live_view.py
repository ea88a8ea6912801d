"""The live view on a terminal in memory: it redraws in place, logs scroll by above it, and it leaves a clean screen."""

from __future__ import annotations

import io
import logging
import os
from typing import Any

import pyte
import pytest

from consumers.concurrency import Scope, sleep
from consumers.management import liveview
from consumers.management.liveview import LiveView
from consumers.telemetry.logs import LineFormatter
from tests.snapshots import consumer, process

COLUMNS, LINES = 60, 12


class Terminal(io.StringIO):
    """A screen that what is written appears on."""

    def __init__(self, columns: int = COLUMNS, lines: int = LINES, *, is_terminal: bool = True) -> None:
        super().__init__()
        self.screen = pyte.HistoryScreen(columns, lines, history=1000)
        self.screen.set_mode(pyte.modes.LNM)  # as a terminal's driver does: a line feed returns the carriage as well
        self._stream = pyte.Stream(self.screen)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> int:
        self._stream.feed(text)
        return super().write(text)

    @property
    def lines(self) -> list[str]:
        """All that is on the screen and has scrolled off it, without trailing blanks."""
        gone = ["".join(line[x].data for x in range(self.screen.columns)) for line in self.screen.history.top]
        lines = [line.rstrip() for line in [*gone, *self.screen.display]]
        while lines and not lines[-1]:
            lines.pop()
        return lines


@pytest.fixture(autouse=True)
def _size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveview.shutil, "get_terminal_size", lambda **_: os.terminal_size((COLUMNS, LINES)))
    monkeypatch.setattr(liveview, "_EVERY", 0.001)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """With a log handler that writes to it."""
    made = Terminal()
    handler = logging.StreamHandler(made)
    handler.setFormatter(LineFormatter("%(levelname)s %(message)s"))
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    return made


def shown(monkeypatch: pytest.MonkeyPatch, terminal: Terminal, *rounds: Any, **changes: Any) -> list[str]:
    """Show the view, each of the rounds being called between two drawings; what the terminal then holds."""
    drawn = 0

    def report(_: object) -> Any:
        nonlocal drawn
        drawn += 1
        return process(consumer(chunks=drawn, in_flight=drawn, **changes))

    monkeypatch.setattr(liveview, "process_report", report)
    view: Any = LiveView(None, terminal)  # type: ignore[arg-type]
    with Scope() as scope:
        scope.spawn(view.show)
        for each in (lambda: None, *rounds):
            before = drawn
            each()
            while drawn < before + 2 and terminal.isatty() and os.environ["TERM"] != "dumb":
                sleep(0)
        scope.cancel()
    return terminal.lines


LEFT = ["clicks: 100 received, 90 written, 5 duplicates, 2 skipped,"]


def test_it_redraws_in_place_and_leaves_its_last_line_alone(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal
) -> None:
    assert shown(monkeypatch, terminal, *[lambda: None] * 20) == LEFT
    assert "clicks  group clicks  running" in terminal.getvalue()


def test_warnings_scroll_by_above_and_routine_is_left_out(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    logger = logging.getLogger("consumers.engine")

    def log() -> None:
        logger.info("routine")
        logger.warning("the database is \x1b[2Jgone")
        logger.error("second\nthird")

    assert shown(monkeypatch, terminal, log, log)[:3] == [
        r"WARNING the database is \x1b[2Jgone",
        "ERROR second",
        "    third",
    ]
    assert len(terminal.lines) == 7
    logger.warning("later")
    assert terminal.lines[-1] == "WARNING later"


def test_a_log_that_is_longer_than_the_screen_leaves_the_view_whole(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal
) -> None:
    logger = logging.getLogger("consumers.engine")
    rounds = [lambda number=number: logger.warning("line %d", number) for number in range(50)]
    lines = shown(monkeypatch, terminal, *rounds)
    assert lines[:50] == [f"WARNING line {number}" for number in range(50)]
    assert len(lines) == 51


def test_it_never_takes_more_lines_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveview.shutil, "get_terminal_size", lambda **_: os.terminal_size((20, 4)))
    terminal = Terminal(20, 4)
    assert len(shown(monkeypatch, terminal, *[lambda: None] * 10)) == 1


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1")])
def test_colours_are_left_out_where_nobody_wants_them(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    shown(monkeypatch, terminal)
    assert "\x1b[31m" not in terminal.getvalue()


def test_failures_are_red_otherwise(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    shown(monkeypatch, terminal)
    assert "\x1b[31m! failed: invalid 2" in terminal.getvalue()


@pytest.mark.parametrize("case", ["no terminal", "a dumb one"])
def test_without_a_terminal_that_can_it_stays_silent(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    terminal = Terminal(is_terminal=case != "no terminal")
    monkeypatch.setenv("TERM", "dumb" if case == "a dumb one" else "xterm")
    shown(monkeypatch, terminal)
    assert terminal.getvalue() == ""


def test_a_terminal_that_is_gone_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    shown(monkeypatch, Gone(), lambda: None)
