"""What an event's field takes, in words that an operator reads beside its input."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta

from consumers.admin.editing.expected import expected


class Inner(msgspec.Struct):
    x: int


class Event(msgspec.Struct, kw_only=True):
    key: UUID
    count: Annotated[int, Meta(ge=1, le=5000)]
    name: Annotated[str, Meta(min_length=1, max_length=1024)]
    code: Annotated[str, Meta(pattern="^[a-z]+$")]
    at: Annotated[datetime, Meta(tz=True)]
    kind: Literal["charge", "refund"]
    amount: Decimal | None = None
    tags: Annotated[list[str], Meta(max_length=3)] = []
    inner: Inner | None = None
    anything: Any = None
    yes: bool = False


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("key", "a UUID"),
        ("count", "a whole number, at least 1, at most 5,000"),
        ("name", "a text, at least 1 character, at most 1,024 characters"),
        ("code", "a text, like ^[a-z]+$"),
        ("at", "a time, such as 2026-03-01T12:00:00Z"),
        ("kind", 'one of "charge", "refund"'),
        ("amount", "a decimal or null; may be left out"),
        ("tags", "a list, at most 3 items; may be left out"),
        ("inner", "an object or null; may be left out"),
        ("anything", "any value; may be left out"),
        ("yes", "true or false; may be left out"),
    ],
)
def test_a_fields_type_is_told_in_words(field: str, words: str) -> None:
    infos = {info.name: info for info in msgspec.structs.fields(Event)}
    assert expected(infos[field]) == words
