"""What an event's field takes, in a few words, from its JSON schema."""

from __future__ import annotations

from typing import Any

import msgspec

_FORMATS = {
    "uuid": "a UUID",
    "date-time": "a time, such as 2026-03-01T12:00:00Z",
    "date": "a date",
    "decimal": "a decimal",
}
_ARTICLES = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list"}


def expected(info: msgspec.structs.FieldInfo) -> str:
    """Such as "a whole number, at least 1"; whether it may be left out comes last."""
    try:
        text = _words(msgspec.json.schema(info.type))
    except TypeError:  # a type of the consumer's own, which has no schema
        text = "a value of the event's own type"
    return text if info.required else f"{text}; may be left out"


def _words(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(_words, schema["anyOf"])))
    if "enum" in schema:
        return "one of " + ", ".join(msgspec.json.encode(value).decode() for value in schema["enum"])
    if "$ref" in schema:
        return "an object"
    kind = str(schema.get("type", "any value"))
    if kind == "string":
        return _FORMATS.get(schema.get("format", ""), "a text") + _bounds(schema)
    return _ARTICLES.get(kind, f"an {kind}" if kind == "object" else kind) + _bounds(schema)


def _bounds(schema: dict[str, Any]) -> str:
    given = [(words, schema[name], unit) for name, words, unit in _BOUNDS if name in schema]
    said = [f"{words} {bound:,} {unit if bound != 1 else unit[:-1]}".rstrip() for words, bound, unit in given]
    said += [f"like {schema['pattern']}"] if "pattern" in schema else []
    return "".join(f", {each}" for each in said)


_BOUNDS = (
    ("minimum", "at least", ""),
    ("exclusiveMinimum", "more than", ""),
    ("maximum", "at most", ""),
    ("exclusiveMaximum", "less than", ""),
    ("minLength", "at least", "characters"),
    ("maxLength", "at most", "characters"),
    ("minItems", "at least", "items"),
    ("maxItems", "at most", "items"),
)
