"""A child process of the supervisor: how it is started, heard, and told to end.

Its stdin is a socket, the *lifeline*. The child reports on it, one JSON object a line, and its end tells the child that
the supervisor is gone, even by kill -9, when nobody else could. Its stderr is read line by line; its stdout is ours.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from selectors import EVENT_READ, BaseSelector
from typing import Any

_AT_ONCE = 64 * 1024
"""Bytes read at once, and the longest line that is waited for."""


class Lines:
    """Bytes as they come in, text line by line out."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line.decode(errors="replace"))
        if len(self._rest) > _AT_ONCE:
            self.end()

    def end(self) -> None:
        """What came last, without a line's end."""
        if self._rest:
            self._take(self._rest.decode(errors="replace"))
        self._rest = b""


class Child:
    """A running process."""

    def __init__(self, command: Sequence[str], selector: BaseSelector, on_line: Callable[[str], None]) -> None:
        """Start it. The selector's keys get a function to call, as their data; `on_line` gets the lines of its stderr.

        Raises:
            OSError: it could not be started.
        """
        self.started = time.monotonic()
        self.report: dict[str, Any] = {}
        """The summary that it sent last."""
        self.lag: int | None = None
        """Records of its partitions that are not settled, as far as it knows and has told."""
        self.is_final = False
        """Whether that was sent at its end."""
        self.last_line = ""
        """The last line of its stderr that was not empty."""
        self._on_line = on_line
        self._selector = selector
        ours, theirs = socket.socketpair()
        try:
            # In a process group of its own: Ctrl-C reaches the supervisor alone, which passes it on once.
            self._process = subprocess.Popen(  # noqa: S603  (the command is the one that we were started with)
                command, stdin=theirs.fileno(), stderr=subprocess.PIPE, bufsize=0, process_group=0
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        assert self._process.stderr is not None  # noqa: S101  (for the type checker)
        self._streams: dict[Any, Lines] = {ours: Lines(self._take_report), self._process.stderr: Lines(self._take_line)}
        for stream in self._streams:
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, EVENT_READ, lambda stream=stream: self._hear(stream))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started

    def poll(self) -> int | None:
        """Its exit code once it has ended, minus the signal's number if one killed it. All that it said has been heard
        by then."""
        code = self._process.poll()
        if code is not None:
            for stream in list(self._streams):
                while self._hear(stream):
                    pass
                self._close(stream)
        return code

    def terminate(self) -> None:
        """The first time asks a consumer to drain, the second to abort."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self._process.kill()

    def _hear(self, stream: Any) -> bool:
        """Read once; returns whether there was something."""
        if stream not in self._streams:
            return False
        try:
            data = os.read(stream.fileno(), _AT_ONCE)
        except BlockingIOError:
            return False
        except ConnectionResetError:  # it left without reading; nothing is ever sent to it
            data = b""
        if data:
            self._streams[stream].feed(data)
        else:
            self._close(stream)
        return bool(data)

    def _close(self, stream: Any) -> None:
        lines = self._streams.pop(stream, None)
        if lines is not None:
            lines.end()
            self._selector.unregister(stream)
            stream.close()

    def _take_report(self, line: str) -> None:
        try:
            message = json.loads(line)
            self.report, self.is_final = dict(message["summary"]), bool(message["final"])
            self.lag = None if message.get("lag") is None else int(message["lag"])
        except (ValueError, TypeError, KeyError):
            self._take_line(line)  # not from us: somebody has written to stdin

    def _take_line(self, line: str) -> None:
        self.last_line = line.strip() or self.last_line
        self._on_line(line)
