"""How far the consumers are: bars kept up to date on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from typing import TextIO

from demo.ledgers import Totals

WIDTH = 20
TERMINAL_EVERY = 0.2
PLAIN_EVERY = 2.0


class Display:
    """Shows counts by consumer against what was sent to each. Seconds are of wall-clock time since it was made."""

    def __init__(self, out: TextIO, sent: Mapping[str, int]) -> None:
        self.out, self.sent = out, sent
        self.is_terminal = out.isatty()
        self.every = TERMINAL_EVERY if self.is_terminal else PLAIN_EVERY
        self._started = time.monotonic()
        self._drawn = 0

    def show(self, counts: Totals) -> None:
        lines = [self._line(name, counts[name]) for name in self.sent]
        if self.is_terminal:
            columns = shutil.get_terminal_size().columns - 1  # a line that wraps would break the way back up
            up = f"\x1b[{self._drawn}A" if self._drawn else ""
            self.out.write(up + "".join(f"\x1b[K{line[:columns]}\n" for line in lines))
            self._drawn = len(lines)
        else:
            self.out.write("".join(f"{line}\n" for line in lines))
        self.out.flush()

    def _line(self, name: str, counts: Mapping[str, int]) -> str:
        # What an earlier run left in the topic counts too, so there may be more than was sent this time.
        received, expected = counts["received"], max(self.sent[name], counts["received"], 1)
        filled = WIDTH * received // expected
        bar = f"  {'#' * filled}{'.' * (WIDTH - filled)}" if self.is_terminal else ""
        per_second = received / max(time.monotonic() - self._started, 0.001)
        return f"  {name:<12}{bar} {received:>7,} of {expected:,}  {per_second:>7,.0f}/s  {counts['failed']:,} failed"
