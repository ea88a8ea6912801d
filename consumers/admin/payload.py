"""A failed record's bytes made readable: JSON where they are, else UTF-8 text, else a hexdump. Pure and bounded; no
bytes whatsoever make it raise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from consumers.admin.jsontext import Json
from consumers.admin.redaction import Redaction
from consumers.admin.visible import hexdump, visible

SHOWN = 64 * 1024
"""Bytes, or characters, of one part that a page shows."""
DECODED = 1024 * 1024
"""Bytes up to which JSON is decoded; beyond, its beginning is shown as text."""


@dataclass(frozen=True)
class Part:
    """One part of a record, ready to be escaped and printed. `raw` is a hexdump, empty where it may not be shown."""

    kind: str
    text: str = ""
    remark: str = ""
    raw: str = ""


@dataclass(frozen=True)
class Head:
    """The first bytes of a value (`DECODED` of them suffice) and its whole length."""

    data: bytes | None
    size: int

    @property
    def is_whole(self) -> bool:
        return self.data is not None and len(self.data) == self.size


def parse(head: Head) -> Json | None:
    """The document, if the bytes are a whole one that can be laid out."""
    if not head.data or not head.is_whole:
        return None
    try:
        return Json(head.data.decode("utf-8"))
    except ValueError:
        return None


def redaction_seen(redaction: Redaction, document: Json | None) -> Redaction:
    """The redaction, knowing which values to hide elsewhere; unsure if the value is not an object with named fields."""
    if document is None or not document.is_object:
        return redaction
    return redaction.having_seen(document.values_of(redaction.fields))


def present_value(head: Head, document: Json | None, redaction: Redaction, *, reveal: bool) -> Part:
    """The record's value; fields to redact are masked. Without `reveal` there is no hexdump where something is to be
    hidden, and what can't be masked is withheld altogether."""
    if not head.data:
        return _nothing(head)
    if redaction.unsure and not reveal:
        return Part("withheld", remark=_why_withheld(head, redaction))
    raw = hexdump(head.data[:SHOWN]) if reveal or not redaction.applies else ""
    return _as_text(head, redaction, raw) if document is None else _as_json(head, document, redaction, raw)


def present_key(head: Head, redaction: Redaction, *, reveal: bool) -> Part:
    """The record's key, or a header's value: text or bytes, with the redacted values in it masked."""
    if not head.data:
        return _nothing(head)
    if not reveal and (redaction.unsure or (redaction.applies and _text(head) is None)):
        return Part("withheld", remark=f"{_size(head)}, shown to those who may view sensitive failed records")
    return _as_text(head, redaction, raw="")


def present_headers(
    headers: Iterable[tuple[str, bytes | None]], redaction: Redaction, *, reveal: bool
) -> list[tuple[str, Part]]:
    """Each header's name and value."""
    heads = [(visible(name[:SHOWN]), Head(value, len(value or b""))) for name, value in headers]
    return [(name, present_key(head, redaction, reveal=reveal)) for name, head in heads]


def present_text(text: str, redaction: Redaction) -> str:
    """A message or a traceback: masked, bounded, its invisible characters written out."""
    masked = redaction.mask(text)
    return visible(masked[:SHOWN]) + ("\n[cut here]" if len(masked) > SHOWN else "")


def _nothing(head: Head) -> Part:
    return Part("null", remark="null (no value)") if head.data is None else Part("empty", remark="empty (0 bytes)")


def _as_json(head: Head, document: Json, redaction: Redaction, raw: str) -> Part:
    text, complete = document.pretty(redaction.fields, SHOWN)
    return Part("JSON", visible(text), _size(head) + ("" if complete else _first("characters of the layout")), raw)


def _as_text(head: Head, redaction: Redaction, raw: str) -> Part:
    data = head.data or b""
    cut = _first("bytes") if head.size > SHOWN else ""
    text = _text(head)
    if text is None:
        return Part("hexdump", hexdump(data[:SHOWN]), _size(head) + cut)
    return Part("text", visible(redaction.mask(text)), _size(head) + cut, raw)


def _text(head: Head) -> str | None:
    """The beginning as UTF-8; None where it isn't. A character cut in two by the limit doesn't count against it."""
    data = (head.data or b"")[:SHOWN]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        cut_in_two = head.size > len(data) and error.end == len(data) and len(data) - error.start < 4
        return data[: error.start].decode("utf-8") if cut_in_two else None


def _size(head: Head) -> str:
    return "1 byte" if head.size == 1 else f"{head.size:,} bytes"


def _first(unit: str) -> str:
    return f"; the first {SHOWN:,} {unit} are shown"


def _why_withheld(head: Head, redaction: Redaction) -> str:
    who = "It is shown to those who may view sensitive failed records."
    if not redaction.consumer_known:
        return f"{_size(head)}. The consumer is not registered any more, so nobody can tell what to mask. {who}"
    fields = ", ".join(sorted(redaction.fields))
    return f"{_size(head)}. It can't be decoded, so the fields to mask ({fields}) can't be told apart. {who}"
