"""What an edit changes, line by line, with what the consumer redacts masked."""

from __future__ import annotations

import difflib

from consumers.admin.jsontext import Json
from consumers.admin.payload import Head, parse
from consumers.admin.redaction import Redaction
from consumers.admin.visible import visible
from consumers.pipeline.mask import MASK

MOST = 256 * 1024
"""Characters of a layout that are compared."""


def unified(before: bytes, after: bytes, redaction: Redaction) -> str:
    """A unified diff of the two values laid out; empty if they are the same document."""
    old, new = parse(Head.of(before)), parse(Head.of(after))
    if redaction.asked_for and (old is None or new is None):
        return f"-({len(before):,} bytes, which can't be masked)\n+({len(after):,} bytes)\n"
    if before == after or (old and new and old.compact() == new.compact()):
        return ""
    lines = difflib.unified_diff(
        _lines(before, old, redaction), _lines(after, new, redaction), "before", "edited", lineterm="", n=3
    )
    return "\n".join([*lines, *_changed_secrets(old, new, redaction)]) + "\n"


def shown(diff: str) -> list[tuple[str, str]]:
    """The diff's lines, fit to be printed, each with the sign that it begins with."""
    return [(line[:1], visible(line)) for line in diff.splitlines()]


def _lines(value: bytes, document: Json | None, redaction: Redaction) -> list[str]:
    if document is None:
        return value.decode("utf-8", "backslashreplace").splitlines()
    return document.pretty(redaction.fields, MOST).text.splitlines()


def _changed_secrets(old: Json | None, new: Json | None, redaction: Redaction) -> list[str]:
    """Lines for members that are masked on both sides, and differ."""
    if old is None or new is None:
        return []
    before, after = dict(old.members()), dict(new.members())
    both = sorted(redaction.fields & before.keys() & after.keys())
    changed = [name for name in both if before[name].compact() != after[name].compact()]
    return [line for name in changed for line in (f'-  "{name}": "{MASK}"', f'+  "{name}": "{MASK}, another value"')]
