"""How long it took from a fault until chunks were settled again, read from the members' logs."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime

from tests.chaos.faults import FROZEN, JOINED
from tests.chaos.members import Member
from tests.chaos.nemesis import Happened

_SETTLED = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) INFO .* settled \d+ records", re.MULTILINE)


class Settlements:
    """When which process settled a chunk."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._moments = [(member, sorted(_moments(member))) for member in members]

    def recovery(self, happened: Happened) -> float | None:
        """Seconds from a fault's beginning to the first chunk settled after its end. It counts who settled it: after
        the death of a process its successor, after a freeze the one that was frozen, after a fault of a server any.
        None if there was no such chunk any more."""
        found = [
            moments[index]
            for member, moments in self._moments
            if _counts(member, happened) and (index := bisect_right(moments, happened.ended)) < len(moments)
        ]
        return round(min(found) - happened.began, 3) if found else None


def _counts(member: Member, happened: Happened) -> bool:
    kind = happened.fault.kind
    if kind == FROZEN:
        return member.slot == happened.fault.slot
    if kind.startswith("consumer") and kind != JOINED:
        return member.slot == happened.fault.slot and member.started > happened.began
    return True


def _moments(member: Member) -> Iterable[float]:
    for moment, milliseconds in _SETTLED.findall(member.log.read_text(errors="replace")):
        # The formatter writes local time.
        yield datetime.fromisoformat(moment).timestamp() + int(milliseconds) / 1000
