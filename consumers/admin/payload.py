"""A failed record's bytes made readable: JSON where they are, else UTF-8 text, else a hexdump. Pure and bounded; no
bytes whatsoever make it raise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from consumers.admin.jsontext import Json, Path
from consumers.admin.redaction import Redaction
from consumers.admin.visible import hexdump, visible

SHOWN = 64 * 1024
"""Bytes, or characters, of one part that a page shows."""
DUMPED = 16 * 1024
"""Bytes that a hexdump shows."""
DECODED = 1024 * 1024
"""Bytes up to which JSON is decoded; beyond, its beginning is shown as text."""


@dataclass(frozen=True)
class Part:
    """One part of a record, ready to be escaped and printed. `raw` is a hexdump, empty where it may not be shown."""

    kind: str
    text: str = ""
    remark: str = ""
    raw: str = ""
    marked: str = ""
    """What the error is about, if it was found in the text: it follows `text`, and `rest` follows it."""
    rest: str = ""


@dataclass(frozen=True)
class Head:
    """The first bytes of a value (`DECODED` of them suffice) and its whole length."""

    data: bytes | None
    size: int

    @classmethod
    def of(cls, column: bytes | memoryview | None, size: int | None = None) -> Head:
        """What a column holds; its whole length where `column` is but the beginning."""
        data = None if column is None else bytes(column)
        return cls(data, len(data or b"") if size is None else size)

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


def present_value(head: Head, document: Json | None, redaction: Redaction, marked: Path | None = None) -> Part:
    """The record's value; fields to redact are masked, what `marked` leads to is told apart. There is no hexdump where
    something is to be hidden, and what can't be masked is withheld altogether."""
    if not head.data:
        return _nothing(head)
    if redaction.unsure:
        return Part("withheld", remark=_why_withheld(head, redaction))
    raw = "" if redaction.applies else hexdump(head.data[:DUMPED])
    return _as_text(head, redaction, raw) if document is None else _as_json(head, document, redaction, raw, marked)


def present_key(head: Head, redaction: Redaction) -> Part:
    """The record's key, or a header's value: text or bytes, with the redacted values in it masked."""
    if not head.data:
        return _nothing(head)
    if redaction.unsure or (redaction.applies and _text(head) is None):
        return Part("withheld", remark=f"{_size(head)}, shown to those who may view sensitive failed records")
    return _as_text(head, redaction, raw="")


def present_headers(headers: Iterable[tuple[str, bytes | None]], redaction: Redaction) -> list[tuple[str, Part]]:
    """Each header's name and value."""
    return [(visible(name[:SHOWN]), present_key(Head.of(value), redaction)) for name, value in headers]


def present_text(text: str, redaction: Redaction) -> str:
    """A message or a traceback: masked, bounded, its invisible characters written out."""
    masked = redaction.mask(text)
    return visible(masked[:SHOWN]) + ("\n[cut here]" if len(masked) > SHOWN else "")


def _nothing(head: Head) -> Part:
    return Part("null", remark="null (no value)") if head.data is None else Part("empty", remark="empty (0 bytes)")


def _as_json(head: Head, document: Json, redaction: Redaction, raw: str, marked: Path | None) -> Part:
    text, is_complete, mark = document.pretty(redaction.masked_fields, SHOWN, marked)
    begin, end = mark or (len(text), len(text))
    remark = _size(head) + ("" if is_complete else _first("characters of the layout"))
    return Part("JSON", visible(text[:begin]), remark, raw, visible(text[begin:end]), visible(text[end:]))


def _as_text(head: Head, redaction: Redaction, raw: str) -> Part:
    data = head.data or b""
    cut = _first("bytes") if head.size > SHOWN else ""
    text = _text(head)
    if text is None:
        dumped = _first("bytes", DUMPED) if head.size > DUMPED else ""
        return Part("hexdump", hexdump(data[:DUMPED]), _size(head) + dumped)
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


def _first(unit: str, number: int = SHOWN) -> str:
    return f"; the first {number:,} {unit} are shown"


def _why_withheld(head: Head, redaction: Redaction) -> str:
    who = "It is shown to those who may view sensitive failed records."
    if not redaction.consumer_known:
        return f"{_size(head)}. The consumer is not registered any more, so nobody can tell what to mask. {who}"
    fields = ", ".join(sorted(redaction.fields))
    return f"{_size(head)}. It can't be decoded, so the fields to mask ({fields}) can't be told apart. {who}"
