"""The edited value's bytes, from what was typed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from consumers.admin.editing.fields import LOCKED, EditField, to_bytes
from consumers.admin.jsontext import Json


class NotJson(ValueError):
    """What was typed for a field is not JSON; `field` says for which."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def compose(base: Json, fields: Sequence[EditField], typed: Mapping[str, str]) -> bytes:
    """The value with what was typed: members keep their order, new ones come last, an emptied one goes. What is locked,
    or hidden and left empty, stays as it is.

    Raises:
        NotJson: a text is not JSON.
    """
    by_name = {field.name: field for field in fields}
    members = dict(base.members())
    result: dict[str, str] = {}
    for name in (*members, *(name for name in by_name if name not in members)):
        field = by_name[name]
        text = typed.get(name, "").strip()
        if field.kind == LOCKED or (field.is_hidden and not text):
            if name in members:
                result[name] = members[name].compact()
        elif text:
            result[name] = _json(name, text)
    return to_bytes("{" + ", ".join(f"{_name(name)}: {text}" for name, text in result.items()) + "}")


def _json(name: str, text: str) -> str:
    try:
        return Json(text).compact()
    except ValueError as error:
        raise NotJson(name, f"not JSON ({error}); a text needs double quotes") from None


def _name(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
