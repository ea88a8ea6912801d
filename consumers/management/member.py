"""A process that a supervisor started (`consume --processes`): it reports, and drains when the supervisor is gone."""

from __future__ import annotations

import json
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

from consumers.concurrency import sleep
from consumers.core.errors import Misconfigured
from consumers.engine.supervisor import NUMBER

logger = logging.getLogger("consumers")

_EVERY = 0.5
"""Seconds between two reports, and between two looks at whether the supervisor is still there."""


class Lifeline:
    """The socket in the place of stdin: see `consumers.engine.child` for the other end.

    Nothing here waits for the supervisor while records are consumed: if it does not read, reports are left out.
    """

    def __init__(
        self, summary: Callable[[], dict[str, Any]], lag: Callable[[], int | None], drain: Callable[[], object]
    ) -> None:
        """`summary` and `lag` are what is reported, `drain` is called once the supervisor is gone.

        Raises:
            Misconfigured: stdin is something else.
        """
        self._summary = summary
        self._lag = lag
        self._drain = drain
        self._unsent = b""
        try:
            self._socket = socket.socket(fileno=sys.stdin.fileno())
        except (OSError, ValueError) as error:
            raise Misconfigured("--member is only for the processes that --processes starts") from error

    def hold(self) -> None:
        """Report now and then; run until killed, or until the supervisor is gone."""
        self._socket.setblocking(False)
        try:
            while self._is_held():
                self._report()
                sleep(_EVERY)
        except OSError:
            pass
        logger.warning("the supervisor is gone: draining")
        self._drain()

    def end(self) -> None:
        """The last report."""
        self._socket.settimeout(_EVERY * 10)
        try:
            self._socket.sendall(self._unsent + self._message(final=True))
        except OSError:
            logger.debug("nobody takes the last report")
        self._socket.detach()

    def _is_held(self) -> bool:
        try:
            return bool(self._socket.recv(1))
        except BlockingIOError:
            return True

    def _report(self) -> None:
        self._unsent = self._unsent or self._message(final=False)
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            return

    def _message(self, final: bool) -> bytes:
        return json.dumps({"final": final, "lag": self._lag(), "summary": self._summary()}).encode() + b"\n"


def command_of_member(command: Sequence[str]) -> list[str]:
    """The command line of one of the processes, with `--member` where this one, the supervisor's, has `--processes N`.

    The interpreter and its options are kept: `python -X dev manage.py consume clicks --processes 2`.
    """
    words = [sys.executable, *command[1:]]
    member: list[str] = []
    while words:
        word = words.pop(0)
        name, equals, _ = word.partition("=")
        if len(name) > len("--p") and "--processes".startswith(name):  # may be shortened, as any option
            member += ["--member", NUMBER]
            del words[: 0 if equals else 1]
        else:
            member.append(word)
    return member
