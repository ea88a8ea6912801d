"""One line on the terminal that tells how a run is getting on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from consumers.concurrency import sleep
from consumers.engine.runner import Runner

_EVERY = 0.25


class ProgressLine:
    """Rewrites its line a few times a second; where there is no terminal, the log tells instead."""

    def __init__(self, runners: Sequence[Runner], stream: Any) -> None:
        self._runners = runners
        self._stream = stream

    def show(self) -> None:
        """Run until killed."""
        if not self._stream.isatty():
            return
        logging.getLogger("consumers").setLevel(logging.WARNING)
        try:
            while True:
                self._write(f"\r\x1b[K{self._line()}")
                sleep(_EVERY)
        finally:
            self._write(f"\r\x1b[K{self._line()}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text, ending="")
        self._stream.flush()

    def _line(self) -> str:
        return " | ".join(_of(runner) for runner in self._runners)[:200]


def _of(runner: Runner) -> str:
    statistics = runner.statistics
    tally = statistics.tally
    rate = tally.received / max(statistics.seconds, 0.001)
    text = f"{statistics.consumer} {tally.received:,} ({rate:,.0f}/s)"
    if tally.duplicates:
        text += f" {tally.duplicates:,} dup"
    if tally.failed:
        text += f" {tally.failed:,} failed"
    return text
