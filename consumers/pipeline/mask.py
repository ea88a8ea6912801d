"""What a consumer redacts never leaves its record: messages and tracebacks are stored with those values masked.

So groups of failures, the flood guard's example, logs and searches cannot show them either.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from consumers.consumer import BatchConsumer
from consumers.core.outcomes import Failure

MASK = "[redacted]"
TOO_SHORT = 3
"""Values of fewer characters are not looked for in other texts: they would mask half of them."""

_PARSE = msgspec.json.Decoder(Any, float_hook=str).decode
_LONGEST = 1024 * 1024
"""Bytes of a value up to which it is searched for what to mask."""


def redacted_names(consumer: type[BatchConsumer[Any, Any]]) -> frozenset[str]:
    """The fields that a consumer redacts, by their names in Python and on the wire."""
    event = getattr(consumer, "event", None)
    names = getattr(event, "__struct_fields__", ())
    wire_names = dict(zip(names, getattr(event, "__struct_encode_fields__", ()), strict=False))
    return frozenset(consumer.redact) | {wire_names.get(name, name) for name in consumer.redact}


class Masker:
    """Masks the failures of one consumer's records."""

    def __init__(self, consumer: type[BatchConsumer[Any, Any]]) -> None:
        self._names = redacted_names(consumer)

    def masked(self, failures: list[Failure]) -> list[Failure]:
        """The failures, their messages and tracebacks without the values that stand under redacted fields."""
        return [self._masked(each) for each in failures] if self._names else failures

    def _masked(self, each: Failure) -> Failure:
        secrets = secrets_in(each.record.value, self._names)
        message, traceback = mask(each.message, secrets), mask(each.traceback, secrets)
        if (message, traceback) == (each.message, each.traceback):
            return each
        return msgspec.structs.replace(each, message=message, traceback=traceback)


def mask(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, also where it holds them as Python or JSON would write them."""
    for secret in secrets:
        for form in dict.fromkeys((secret, repr(secret)[1:-1], msgspec.json.encode(secret).decode()[1:-1])):
            text = text.replace(form, MASK)
    return text


def worth_masking(values: Iterable[str]) -> tuple[str, ...]:
    """The values to look for in other texts, the longest first."""
    return tuple(sorted({value for value in values if len(value) >= TOO_SHORT}, key=lambda v: (-len(v), v)))


def secrets_in(value: bytes | None, names: Collection[str]) -> tuple[str, ...]:
    """What stands under these names in a record's value, to be given to `mask`."""
    if not value or len(value) > _LONGEST:
        return ()
    try:
        document = _PARSE(value)
    except (ValueError, RecursionError):
        return _guessed(value, names)
    return worth_masking(_under(document, names))


def _guessed(value: bytes, names: Collection[str]) -> tuple[str, ...]:
    """What looks like the fields' values in bytes that are no JSON."""
    text = value.decode("utf-8", "replace")
    named = "|".join(map(re.escape, sorted(names)))
    pattern = rf'"(?:{named})"\s*:\s*(?:"((?:[^"\\]|\\.)*)|([\w.+-]+))'
    return worth_masking(one or other for one, other in re.findall(pattern, text))


def _under(document: Any, names: Collection[str]) -> Iterable[str]:
    """The texts and numbers under these names, at any depth."""
    waiting = [(document, False)]
    while waiting:
        value, wanted = waiting.pop()
        if isinstance(value, dict):
            waiting += [(member, wanted or name in names) for name, member in value.items()]
        elif isinstance(value, list):
            waiting += [(member, wanted) for member in value]
        elif wanted and value is not None and not isinstance(value, bool):
            yield str(value)
