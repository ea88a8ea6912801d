"""The supervisor's stderr: lines of the log and, on a terminal, a line of progress below them."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime
from os import getpid
from socket import gethostname
from typing import TextIO

_EVERY = 0.25
_LOGGER = "consumers.supervisor"


class Console:
    """Writes to a stream, and never lets a line of the log run into the line of progress."""

    def __init__(self, stream: TextIO, *, as_json: bool = False) -> None:
        """With `as_json` each line is a JSON object, as the children's are; a machine reads them."""
        self._stream = stream
        self._as_json = as_json
        self._is_terminal = stream.isatty()
        self._progress = ""
        self._shown_at = 0.0

    def line(self, text: str) -> None:
        """A line as it is, such as a child's."""
        if self._progress:
            self._write(f"\r\x1b[K{text}\n{self._progress}")
        else:
            self._write(f"{text}\n")

    def of_child(self, number: int, text: str) -> None:
        """A line of the process with this number. One in JSON tells its process by its pid."""
        self.line(text if self._as_json else f"[{number}] {text}")

    def log(self, level: str, text: str) -> None:
        """A line of the supervisor's own."""
        if self._as_json:
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            own = {"ts": now, "level": level, "logger": _LOGGER, "msg": text, "host": gethostname(), "pid": getpid()}
            self.line(json.dumps(own))
            return
        self.line(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {level:<7} {_LOGGER} {text}")

    def progress(self, text: str) -> None:
        """Show the text instead of the one before, a few times a second, where there is a terminal."""
        now = time.monotonic()
        if self._is_terminal and now - self._shown_at >= _EVERY:
            self._shown_at = now
            self._show(text)

    def end(self, text: str) -> None:
        """Leave this as the last progress."""
        if self._is_terminal:
            self._show(text)
            self._progress = ""
            self._write("\n")

    def _show(self, text: str) -> None:
        self._progress = text[: shutil.get_terminal_size().columns - 1]
        self._write(f"\r\x1b[K{self._progress}")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # whoever read our log is gone; that is no reason to stop consuming
            self._progress = ""
