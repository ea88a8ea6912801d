"""What keeps the inbox going, done in rounds by whatever process is there: numbers rolled up, alerts delivered."""

from __future__ import annotations

from consumers.alerts.delivery import deliver_due
from consumers.inbox.rollup import roll_up


def tend(using: str) -> None:
    """One round, of a bounded length. Any number of processes may do it; they share the work.

    Raises:
        Exception: an outage of the database; nothing is lost by it.
    """
    roll_up(using)
    deliver_due(using)
