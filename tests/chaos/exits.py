"""How the processes of a round ended, and whether they may have ended so."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable
from dataclasses import dataclass

from tests.chaos.members import Member

# A process that finds no database or broker when it starts says so and ends; its supervisor tries again.
AT_START = (
    "the database does not answer",
    "no broker answers at",
    "reading the topics",
    "reading the group's committed offsets",
    "does not exist on the broker",
)
# The broker has told the client that its membership is beyond repair; only a new process can join again.
GAVE_UP = "the broker client cannot go on"
ABORTED = 130
ALLOWED = {
    "SIGKILL": {-signal.SIGKILL},
    "SIGTERM": {0, -signal.SIGTERM},  # the latter before the handler was there
    "SIGTERM twice": {0, 130, -signal.SIGTERM},
}


@dataclass(frozen=True)
class Exit:
    """One process's end."""

    name: str
    code: int
    asked: str
    last: str
    verdict: str
    """Empty if it may end so."""


def exits(members: Iterable[Member]) -> list[Exit]:
    return [_exit(member) for member in members]


def _exit(member: Member) -> Exit:
    log = member.log.read_text(errors="replace")
    last = log.rstrip().rpartition("\n")[2][:400]
    code = member.process.returncode
    return Exit(member.log.stem, code, member.asked, last, _verdict(member, log, last, code))


def _verdict(member: Member, log: str, last: str, code: int) -> str:
    if "Traceback (most recent call last)" in log or "stopped by an error of the program" in log:
        return "a traceback"
    if left := _left(member):
        return f"left behind: {left}"
    if member.ordered and code == -signal.SIGKILL:
        return ""
    if member.asked.startswith("killed") or code in ALLOWED.get(member.asked, {-signal.SIGKILL}):
        return ""
    if any(text in last for text in (*AT_START, GAVE_UP)):
        return ""
    if member.asked == "itself" and "database outage while reprocessing" in last:
        return ""
    return "" if code == 0 and member.asked == "itself" else f"ended by itself with {code}"


def _left(member: Member) -> list[str]:
    try:
        found: list[str] = json.loads(member.left.read_text())
        if member.process.returncode == ABORTED:  # at once: nobody waits for the broker's client then
            found = [each for each in found if not each.startswith("thread rdk:")]
    except (FileNotFoundError, ValueError):
        return []
    return found
