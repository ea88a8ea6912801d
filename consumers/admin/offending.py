"""Which part of a value an error is about, as far as its message tells. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from consumers.admin.jsontext import Path

_AT = re.compile(r" - at `(\$[^`]*)`")
_MISSING = re.compile(r"missing required field `([^`]+)`")
_NAMED = re.compile(r"`([A-Za-z_]\w*)` ")
_FACT = re.compile(r"\b([A-Za-z_]\w*)=")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")


class Offence(NamedTuple):
    """Where it is, or should be; `is_missing` if it isn't there."""

    path: Path
    is_missing: bool = False

    @property
    def text(self) -> str:
        """The path as people write it, such as `items[2].price`."""
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return steps.removeprefix(".")

    @property
    def field(self) -> str:
        """The member of the event that it is, or lies in; empty for the value as a whole."""
        return str(self.path[0]) if self.path else ""


def offence_in(message: str, wire_names: Mapping[str, str]) -> Offence | None:
    """What a failure's message points at: the decoder's `$.path`, a missing field, a field named in backticks, or a
    fact that bears a field's name. `wire_names` are the event's fields, by their names in Python."""
    place = _AT.search(message)
    path = _path(place[1]) if place else ()
    if missing := _MISSING.search(message):
        return Offence((*path, missing[1]), is_missing=True)
    named = _NAMED.match(message)
    if named and (named[1] in wire_names or named[1] in wire_names.values()):
        return Offence((*path, wire_names.get(named[1], named[1])))
    if place:
        return Offence(path) if path else None
    facts = [fact for fact in _FACT.findall(message) if fact in wire_names]
    return Offence((wire_names[facts[0]],)) if facts else None


def _path(text: str) -> Path:
    """`$.a[0].b` as steps; it ends before a key of a map, which the decoder doesn't name."""
    steps: list[str | int] = []
    for step in _STEP.finditer(text):
        if step[0] == "[...]":
            break
        steps.append(int(step[2]) if step[2] is not None else step[1])
    return tuple(steps)
