"""What a consumer has asked never to be shown, applied to everything a failed record's page prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass

from consumers import registry
from consumers.core.errors import Misconfigured
from consumers.pipeline.mask import mask, redacted_names, worth_masking


@dataclass(frozen=True)
class Redaction:
    """`fields` of the event are masked; an unknown consumer's payload counts as sensitive altogether, since nobody can
    tell any more what it had asked to hide. `secrets` are the values seen under those fields, None while the record's
    value could not be read. `lifted`: whoever looks may see all of it, and that was recorded."""

    fields: frozenset[str] = frozenset()
    consumer_known: bool = True
    secrets: tuple[str, ...] | None = None
    lifted: bool = False

    @property
    def asked_for(self) -> bool:
        """There is something to hide, whether or not it is lifted."""
        return bool(self.fields) or not self.consumer_known

    @property
    def applies(self) -> bool:
        return self.asked_for and not self.lifted

    @property
    def unsure(self) -> bool:
        """There is something to hide, and no telling where it is."""
        return self.applies and (self.secrets is None or not self.consumer_known)

    @property
    def masked_fields(self) -> frozenset[str]:
        return frozenset() if self.lifted else self.fields

    def having_seen(self, values: Collection[str]) -> Redaction:
        """Also hide these values wherever else they occur: in a key, a header, a message, a traceback."""
        return dataclasses.replace(self, secrets=worth_masking([*values, *(self.secrets or ())]))

    def mask(self, text: str) -> str:
        return mask(text, self.secrets or ()) if self.applies else text


def redaction_of(consumer: str, *, lifted: bool = False) -> Redaction:
    """The redaction that the consumer registered under this name asks for."""
    try:
        known = registry.get(consumer)
    except Misconfigured:
        return Redaction(consumer_known=False, lifted=lifted)
    return Redaction(redacted_names(known), lifted=lifted)
