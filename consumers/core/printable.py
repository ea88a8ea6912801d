"""Text of unknown origin made safe to print: on a terminal, in a log, in a label."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    r"""The text with every character that cannot be seen written out, as in \x1b or \u202e; those in `keep` stay.

    Control characters (colours, cursor moves, line feeds), overrides of direction, zero-width ones and lone surrogates
    are replaced, so that what is printed can neither move the cursor nor pretend to be another line.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() or c in keep else _escape(c) for c in text)


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
