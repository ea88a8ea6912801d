"""A live view of a consuming process on a terminal. Where there is no terminal, the lines of the log tell instead."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from consumers.concurrency import sleep
from consumers.engine.process import ConsumerProcess
from consumers.management.frame import Rates, frame, last_lines
from consumers.reporting.snapshot import process_report

_EVERY = 0.5


class LiveView:
    """Keeps its lines at the bottom of the terminal; warnings and errors that are logged meanwhile scroll by above."""

    def __init__(self, process: ConsumerProcess, stream: TextIO | None = None) -> None:
        """`stream` is the terminal, by default stderr."""
        self._process = process
        self._stream = stream or sys.stderr
        self._colour = not os.environ.get("NO_COLOR")
        self._rates = Rates()
        self._lines: list[str] = []

    def show(self) -> None:
        """Run until killed; the lines that are left sum up."""
        if not self._stream.isatty() or os.environ.get("TERM") == "dumb":
            return
        with _logs_go_to(self):
            try:
                while True:
                    self._draw()
                    sleep(_EVERY)
            finally:
                self._put(last_lines(process_report(self._process), self._width()), _up(self._lines))

    def above(self, text: str) -> None:
        """Print lines above the view."""
        lines, self._lines = self._lines, []
        self._write(_up(lines) + text)
        self._put(lines)

    def _draw(self) -> None:
        report = process_report(self._process)
        room = max(1, self._size().lines - 1)
        lines = frame(report, self._rates.add(report), self._width(), colour=self._colour)[:room]
        before, self._lines = self._lines, []
        self._put(lines, _up(before))

    def _put(self, lines: list[str], start: str = "") -> None:
        self._write(start + "".join(f"{line}\n" for line in lines))
        self._lines = lines

    def _width(self) -> int:
        """One cell less than there are: a full line would wrap on some terminals."""
        return max(10, self._size().columns - 1)

    def _size(self) -> os.terminal_size:
        """Of the stream's terminal; stdout, which others ask, may be a file."""
        try:
            return os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return shutil.get_terminal_size()

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # the terminal is gone; that is no reason to stop consuming
            self._lines = []


class _Above:
    """The stream of a log handler while the view is shown."""

    def __init__(self, view: LiveView) -> None:
        self._view = view

    def write(self, text: str) -> None:
        self._view.above(text)

    def flush(self) -> None:
        """All is written at once."""


@contextmanager
def _logs_go_to(view: LiveView) -> Iterator[None]:
    """While the block lasts, handlers that write to the view's terminal write above it, and routine is left out."""
    handlers = [each for each in logging.getLogger().handlers if isinstance(each, logging.StreamHandler)]
    own: list[Any] = [each for each in handlers if each.stream in (view._stream, sys.stderr)]
    logger = logging.getLogger("consumers")
    level, streams = logger.level, [handler.stream for handler in own]
    logger.setLevel(logging.WARNING)
    for handler in own:
        handler.setStream(_Above(view))
    try:
        yield
    finally:
        logger.setLevel(level)
        for handler, stream in zip(own, streams, strict=True):
            handler.setStream(stream)


def _up(lines: list[str]) -> str:
    """Back to where the view begins, and erase all from there."""
    return f"\x1b[{len(lines)}A\r\x1b[J" if lines else ""
