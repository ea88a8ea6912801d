"""Numbers that come in an address or a form, told from everything else before they are read."""

from __future__ import annotations


def is_number(text: str, digits: int = 18) -> bool:
    """Whether it is decimal digits alone, not more than that many; so many as are given always fit a column of ids."""
    return text.isascii() and text.isdigit() and len(text) <= digits
