"""Reading events to send: a JSONL file, gzipped or not, or standard input."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

STDIN = "-"


def read_lines(name: str) -> Iterator[bytes]:
    """The lines of a file as they are, without their ends; empty lines are left out. "-" is standard input.

    Nothing is decoded: a broken line is sent as broken as it is.

    Raises:
        OSError: the file is missing or unreadable, or not gzipped though its name ends in .gz.
        EOFError, zlib.error: a gzipped file ends too early or is damaged.
    """
    if name == STDIN:
        yield from _lines(sys.stdin.buffer)
        return
    path = Path(name)
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        yield from _lines(file)  # type: ignore[arg-type]


def _lines(file: BinaryIO) -> Iterator[bytes]:
    for line in file:
        if stripped := line.rstrip(b"\r\n"):
            yield stripped
