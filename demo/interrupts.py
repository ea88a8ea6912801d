"""Ctrl-C once, and no more than once: what is being cleaned up then is not interrupted again."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn


def one_interrupt_only() -> None:
    """From now on the first SIGINT or SIGTERM raises KeyboardInterrupt, and any other is ignored."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
