"""Wire formats of `ads.clicks` and `ads.impressions`: JSON in UTF-8, decoded and validated in one pass.

Unknown fields are ignored. An optional field may be missing or null. No text is longer than its column.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from ads import limits
from ads.fields import Id, Instant, check_instant, check_ip

UserAgent = Annotated[str, Meta(max_length=limits.USER_AGENT_CHARS)]
UserId = Annotated[str, Meta(max_length=limits.USER_ID_CHARS)]


class ClickEvent(msgspec.Struct, frozen=True, gc=False):
    """A click. `user_agent` must be there but may be empty, as browsers may send none."""

    event_id: UUID
    campaign_id: Id
    occurred_at: Instant
    ip: str
    user_agent: UserAgent
    url: Annotated[str, Meta(min_length=1, max_length=limits.URL_CHARS)]
    impression_id: UUID | None = None
    user_id: UserId | None = None

    def __post_init__(self) -> None:
        check_instant("occurred_at", self.occurred_at)
        check_ip("ip", self.ip)


class ImpressionEvent(msgspec.Struct, frozen=True, gc=False):
    """An impression. `placement` says where it was shown."""

    event_id: UUID
    campaign_id: Id
    occurred_at: Instant
    placement: Annotated[str, Meta(min_length=1, max_length=limits.PLACEMENT_CHARS)]
    ip: str | None = None
    user_agent: UserAgent | None = None
    user_id: UserId | None = None

    def __post_init__(self) -> None:
        check_instant("occurred_at", self.occurred_at)
        if self.ip is not None:
            check_ip("ip", self.ip)
