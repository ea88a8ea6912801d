"""What a consumer has asked never to be shown, applied to everything a failed record's page prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass

from consumers import registry
from consumers.admin.jsontext import MASK
from consumers.core.errors import Misconfigured

TOO_SHORT = 3
"""Values of fewer characters are not looked for in other texts: they would mask half of them."""


@dataclass(frozen=True)
class Redaction:
    """`fields` of the event are masked; an unknown consumer's payload counts as sensitive altogether, since nobody can
    tell any more what it had asked to hide. `secrets` are the values seen under those fields, None while the record's
    value could not be read."""

    fields: frozenset[str] = frozenset()
    consumer_known: bool = True
    secrets: tuple[str, ...] | None = None

    @property
    def applies(self) -> bool:
        return bool(self.fields) or not self.consumer_known

    @property
    def unsure(self) -> bool:
        """There is something to hide, and no telling where it is."""
        return self.applies and (self.secrets is None or not self.consumer_known)

    def having_seen(self, values: Collection[str]) -> Redaction:
        """Also hide these values wherever else they occur: in a key, a header, a message, a traceback."""
        long_enough = [value for value in values if len(value) >= TOO_SHORT]
        return dataclasses.replace(self, secrets=tuple(sorted(long_enough, key=len, reverse=True)))

    def mask(self, text: str) -> str:
        for secret in self.secrets or ():
            text = text.replace(secret, MASK)
        return text


def redaction_of(consumer: str) -> Redaction:
    """The redaction that the consumer registered under this name asks for."""
    try:
        known = registry.get(consumer)
    except Misconfigured:
        return Redaction(consumer_known=False)
    # An event may carry other names on the wire than in Python; both are masked.
    event = getattr(known, "event", None)
    names = getattr(event, "__struct_fields__", ())
    wire_names = dict(zip(names, getattr(event, "__struct_encode_fields__", ()), strict=False))
    return Redaction(frozenset(known.redact) | {wire_names.get(name, name) for name in known.redact})
