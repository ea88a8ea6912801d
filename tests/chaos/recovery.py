"""How long it took from a fault until chunks were settled again, read from the members' logs."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from tests.chaos.members import Member
from tests.chaos.nemesis import Happened

_SETTLED = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) INFO .* settled \d+ records", re.MULTILINE)


class Settlements:
    """When which slot settled a chunk."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._by_slot: defaultdict[int | None, list[float]] = defaultdict(list)
        for member in members:
            for moment in _moments(member):
                self._by_slot[member.slot].append(moment)
                self._by_slot[None].append(moment)
        for moments in self._by_slot.values():
            moments.sort()

    def recovery(self, happened: Happened) -> float | None:
        """Seconds from a fault's beginning to the first chunk settled after its end: by the process in its slot for
        a fault of a consumer, by any for one of a server. None if there was no more."""
        slot = happened.fault.slot if happened.fault.kind.startswith("consumer") else None
        moments = self._by_slot[slot]
        index = bisect_right(moments, happened.ended)
        return round(moments[index] - happened.began, 3) if index < len(moments) else None


def _moments(member: Member) -> Iterable[float]:
    for moment, milliseconds in _SETTLED.findall(member.log.read_text(errors="replace")):
        # The formatter writes local time.
        yield datetime.fromisoformat(moment).timestamp() + int(milliseconds) / 1000
