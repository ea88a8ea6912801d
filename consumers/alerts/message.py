"""An alert as it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consumers.models import Alert


@dataclass(frozen=True)
class AlertMessage:
    """What receivers of the signal get, and what e-mail and webhook tell.

    `kind` is new_group, regression, flood, lag or stall; `url` is the page that shows more, without a host where
    the settings name no site. A message may arrive twice; `id` is then the same.
    """

    id: int
    kind: str
    title: str
    detail: str
    url: str
    at: datetime

    @classmethod
    def of(cls, stored: Alert, site: str) -> AlertMessage:
        url = f"{site.rstrip('/')}{stored.path}" if stored.path else site
        return cls(stored.pk, stored.kind, stored.title, stored.detail, url, stored.at)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it; the time in ISO 8601."""
        return {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "detail": self.detail,
            "url": self.url,
            "at": self.at.isoformat(),
        }
