"""A counter for people: one line kept up to date on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from typing import TextIO

TERMINAL_EVERY = 0.2
PLAIN_EVERY = 5.0


class Progress:
    """Counts records; `label` says what is done with them. Seconds are of wall-clock time since it was made."""

    def __init__(self, out: TextIO, label: str) -> None:
        self.out, self.label = out, label
        self.count = 0
        self.is_terminal = out.isatty()
        self._started = self._shown = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def add(self) -> None:
        self.count += 1
        if self.count % 100 == 0:  # the clock is not read for each record
            self._show_if_due()

    def finish(self) -> None:
        """The last line, with the totals."""
        self._write(f"{self.label}: {self.count:,} records in {self.seconds:.1f} s", last=True)

    def _show_if_due(self) -> None:
        now = time.monotonic()
        if now - self._shown >= (TERMINAL_EVERY if self.is_terminal else PLAIN_EVERY):
            self._shown = now
            self._write(f"{self.label}: {self.count:,} records, {self.count / max(self.seconds, 0.001):,.0f}/s")

    def _write(self, line: str, *, last: bool = False) -> None:
        if self.is_terminal:
            self.out.write(f"\r\x1b[K{line}" + ("\n" if last else ""))
        else:
            self.out.write(f"{line}\n")
        self.out.flush()
