"""What the members' logs tell: how long it took until chunks were settled again, and what trouble there was."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from tests.chaos.faults import FROZEN, JOINED, PAUSED
from tests.chaos.members import Member
from tests.chaos.nemesis import Happened

_SETTLED = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) INFO .* settled \d+ records", re.MULTILINE)

_SIGNS = {
    "chunks settled": "settled ",
    "chunks held in an outage": "outage, holding writing",
    "prefetches held in an outage": "outage, holding preparing",
    "claims held in an outage": "outage, holding the claim",
    "chunks fenced": "was fenced",
    "chunks given up": "gave up",
    "partitions given up unsettled at a revoke": "unsettled",
    "partitions lost": ": lost ",
    "rebalances": ": revoked ",
}


def signs_of_trouble(members: Iterable[Member]) -> Counter[str]:
    """How often the logs say so."""
    logs = [member.log.read_text(errors="replace") for member in members]
    return Counter({sign: sum(log.count(text) for log in logs) for sign, text in _SIGNS.items()})


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
    if kind.startswith(FROZEN) or kind == PAUSED:
        return member.slot == happened.fault.slot
    if kind.startswith("consumer") and kind != JOINED:
        return member.slot == happened.fault.slot and member.started > happened.began
    return True


def _moments(member: Member) -> Iterable[float]:
    for moment, milliseconds in _SETTLED.findall(member.log.read_text(errors="replace")):
        # The formatter writes local time.
        yield datetime.fromisoformat(moment).timestamp() + int(milliseconds) / 1000
