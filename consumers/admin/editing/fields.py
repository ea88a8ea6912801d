"""The parts of a value that can be edited, each locked, sensitive or free."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from consumers.admin.editing.expected import expected
from consumers.admin.jsontext import Json
from consumers.admin.redaction import Redaction
from consumers.consumer import BatchConsumer

LOCKED, SENSITIVE, FREE = "locked", "sensitive", "free"

ConsumerClass = type[BatchConsumer[Any, Any]]


@dataclass(frozen=True)
class EditField:
    """One member of the value, under its name on the wire."""

    name: str
    kind: str
    why: str = ""
    """Why it is locked or sensitive."""
    expected: str = ""
    """What the event takes there, in words."""
    text: str = ""
    """The present value as JSON, laid out; empty if there is none."""
    is_hidden: bool = False
    """The present value is not shown: what is typed replaces it."""
    error: str = ""
    """What the event has against the present value."""


def fields_of(
    consumer: ConsumerClass, document: Json | None, redaction: Redaction, *, sensitive: bool
) -> list[EditField]:
    """The event's fields in their order, then what else the value holds; empty for a value that is not an object with
    names that differ. `sensitive`: whether the user may change what the consumer redacts."""
    members = document.members() if document else []
    present = dict(members)
    if document is None or not document.is_object or len(present) < len(members):
        return []
    maker = _Maker(consumer, present, redaction, sensitive=sensitive)
    known = msgspec.structs.fields(consumer.event)
    others = [name for name in present if name not in {info.encode_name for info in known}]
    return [*map(maker.known, known), *map(maker.other, others)]


class _Maker:
    """Makes the fields of one value."""

    def __init__(
        self, consumer: ConsumerClass, present: dict[str, Json], redaction: Redaction, *, sensitive: bool
    ) -> None:
        self._present = present
        self._redacted = redaction.masked_fields
        self._sensitive = sensitive
        self._identity = frozenset(consumer.unique)
        self._compared = _compared(consumer)

    def known(self, info: msgspec.structs.FieldInfo) -> EditField:
        """A field of the event. One that the event refuses is not locked, or nobody could mend it."""
        name = info.encode_name
        error = self._error(info)
        kind, why = self._kind(info, error)
        hidden = self._is_redacted(name) and name in self._present
        return EditField(
            name=name,
            kind=kind,
            why=why,
            expected=expected(info),
            text="" if hidden else self._text(name),
            is_hidden=hidden,
            error=error,
        )

    def other(self, name: str) -> EditField:
        """A member that the event does not know."""
        if self._is_redacted(name):
            return EditField(name, LOCKED, "the consumer redacts it, and does not read it", is_hidden=True)
        return EditField(name, FREE, "the consumer does not read it", text=self._text(name))

    def _kind(self, info: msgspec.structs.FieldInfo, error: str) -> tuple[str, str]:
        if info.name in self._identity and not error:
            return LOCKED, "it tells the record from all others: with another value it would be another record"
        if self._is_redacted(info.encode_name):
            if not self._sensitive:
                return LOCKED, "the consumer redacts it: your account lacks the permission to view sensitive values"
            return SENSITIVE, "the consumer redacts it: its value is not shown, what you type replaces it"
        if info.name in self._compared:
            return SENSITIVE, "it is compared with what is stored under the same key"
        return FREE, ""

    def _is_redacted(self, name: str) -> bool:
        """By its own name, or by that of something inside of it."""
        value = self._present.get(name)
        return name in self._redacted or (value is not None and value.has_member(self._redacted))

    def _error(self, info: msgspec.structs.FieldInfo) -> str:
        """What the event has against the value as it is; empty if it takes it."""
        if info.encode_name not in self._present:
            return "it is missing" if info.required else ""
        try:
            msgspec.json.decode(to_bytes(self._present[info.encode_name].compact()), type=info.type)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            return str(error)
        return ""

    def _text(self, name: str) -> str:
        return escaped(self._present[name].pretty((), 1_000_000).text) if name in self._present else ""


def escaped(text: str) -> str:
    """JSON with every character that can't be seen as the escape that means the same."""
    return "".join(char if char == "\n" or char.isprintable() else json.dumps(char)[1:-1] for char in text)


def to_bytes(text: str) -> bytes:
    """JSON as UTF-8; a lone surrogate, which UTF-8 can't hold, becomes the escape that JSON has for it."""
    return text.encode("utf-8", "backslashreplace")


def _compared(consumer: ConsumerClass) -> frozenset[str]:
    names: Sequence[str] = consumer.content if consumer.on_conflict == "compare" else ()
    return frozenset(names)
