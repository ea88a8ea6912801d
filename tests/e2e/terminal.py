"""A management command on a terminal of its own, as a person would see it."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pyte

from tests.e2e.harness import CHECKOUT, wait_until


class OnTerminal:
    """The process, and the screen that it draws on."""

    def __init__(self, arguments: list[str], environment: dict[str, str], columns: int) -> None:
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self._screen = pyte.Screen(columns, 24)
        self._stream = pyte.ByteStream(self._screen)
        self.written = b""
        command = [sys.executable, "manage.py", *arguments]
        self.process = subprocess.Popen(
            command, cwd=CHECKOUT, env=environment, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs
        )
        os.close(theirs)
        self._ours = ours
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def shows(self, text: str) -> None:
        wait_until(lambda: text in self.text or self.process.poll() is not None, f"{text!r} on\n{self.text}")
        assert text in self.text

    def end(self) -> str:
        """Wait until it has ended; gives its stdout."""
        assert self.process.stdout is not None
        out = self.process.stdout.read().decode()
        self.process.wait(60)
        self._reader.join(60)
        return out

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._ours, 65536)
            except OSError:  # Linux says so once nobody holds the other end
                break
            if not data:
                break
            self.written += data
            self._stream.feed(data)
        os.close(self._ours)


@contextmanager
def on_terminal(arguments: list[str], environment: dict[str, str], columns: int = 100) -> Iterator[OnTerminal]:
    """The command while the block lasts; killed at its end if it still runs."""
    running = OnTerminal(arguments, environment, columns)
    try:
        yield running
    finally:
        running.process.kill()
        running.end()
        running.process.stdout.close()  # type: ignore[union-attr]
