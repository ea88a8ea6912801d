"""What the benchmark tells while it runs."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """A line on stdout, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
