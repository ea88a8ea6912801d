"""Hostile text and bytes made fit to look at, and exact times. The HTML escaping is left to the templates."""

from __future__ import annotations

from datetime import datetime
from unicodedata import category

from django.utils import timezone

LINE = 16


def visible(text: str) -> str:
    r"""Text with every character that can't be seen written out, as in \u202e.

    Control characters, direction overrides, zero-width ones, lone surrogates and unassigned ones are replaced, so that
    neither the page's layout nor its reader can be fooled, and the answer can always be encoded. Line feeds and
    tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(char if _harmless(char) else _escape(char) for char in text)


def _harmless(char: str) -> bool:
    return char in "\n\t" or char.isprintable() or category(char) == "Zs"


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def hexdump(data: bytes) -> str:
    """Bytes as `xxd` prints them: offset, sixteen bytes in hexadecimal, and the printable ASCII of them."""
    return "\n".join(_hex_line(data, at) for at in range(0, len(data), LINE))


def _hex_line(data: bytes, at: int) -> str:
    line = data[at : at + LINE]
    shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in line)
    return f"{at:08x}: {line.hex(' ', -2):<39}  {shown}"


def moment(at: datetime | None) -> str:
    """A time to the second with its zone, in the current one: what happened to records is told apart by seconds."""
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S %Z}" if at else "-"
