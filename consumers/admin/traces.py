"""A traceback's text, line by line, with the lines of the site's own code told apart."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path
from typing import NamedTuple

_FRAME = re.compile(r'  File "([^"]*)", line \d+, in ')
_ENGINE = str(Path(__file__).resolve().parent.parent)
_FOREIGN = tuple({_ENGINE, *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))})


class Line(NamedTuple):
    """`is_own`: part of a frame of the site's own code, neither a library's nor the engine's."""

    text: str
    is_own: bool


def lines_of(traceback: str) -> list[Line]:
    """The lines of a traceback as Python writes it."""
    lines: list[Line] = []
    is_own = False
    for text in traceback.splitlines():
        if frame := _FRAME.match(text):
            is_own = _is_own(frame[1])
        elif not text.startswith("    "):
            is_own = False
        lines.append(Line(text, is_own))
    return lines


def _is_own(file: str) -> bool:
    return not file.startswith(("<", *_FOREIGN)) and "site-packages" not in file
