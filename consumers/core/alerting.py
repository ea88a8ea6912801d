"""Of what an operator is told, and by which ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from consumers.core.errors import Misconfigured

KINDS = ("new_group", "regression", "flood", "lag", "stall")


@dataclass(frozen=True, kw_only=True)
class AlertPolicy:
    """Times in seconds. The signal `consumers.alerts.alert` is sent whatever is configured here."""

    kinds: Sequence[str] = KINDS
    """What is told of; the others are not even kept."""
    emails: Sequence[str] = ()
    """Addresses that each alert is mailed to, by Django's own settings of e-mail."""
    webhook: str = field(default="", repr=False)
    """An address that each alert is posted to as JSON."""
    webhook_secret: str = field(default="", repr=False)
    """Signs what is posted (see `consumers.alerts.signing`)."""
    webhook_timeout: float = 5.0
    site: str = ""
    """Where the admin is, such as https://ops.example.org: comes before the pages that alerts point to."""
    cool_down: float = 3600.0
    """Of one kind and one group, or consumer, no second alert is raised for so long."""
    lag: int = 0
    """Records that a consumer may be behind within one process; 0: any number."""
    stall: float = 600.0
    """How long a consumer that has lag may settle nothing, outages of the database included; 0: for ever."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.kinds) - set(KINDS))
        if unknown:
            raise Misconfigured(f"settings.CONSUMERS['alerts']: unknown kinds {unknown}; known: {list(KINDS)}")
        if isinstance(self.emails, str):
            raise Misconfigured("settings.CONSUMERS['alerts']: emails must be a list of addresses, not one text")
        for name, address in (("webhook", self.webhook), ("site", self.site)):
            if address and not _is_web_address(address):
                raise Misconfigured(f"settings.CONSUMERS['alerts']: {name} must begin with https:// or http://")
        if self.webhook and not self.webhook_secret:
            raise Misconfigured("settings.CONSUMERS['alerts']: a webhook needs a webhook_secret to be signed with")

    @property
    def channels(self) -> list[str]:
        """The ways that an alert takes."""
        return ["signal", *(["email"] if self.emails else []), *(["webhook"] if self.webhook else [])]


def _is_web_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
