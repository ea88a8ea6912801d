"""A failing round, to be read from top to bottom: the faults, the processes, and what those said."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from tests.chaos.fault import Fault
from tests.chaos.members import Member
from tests.chaos.nemesis import Happened

WIDTH = 220
NEMESIS = "nemesis"

_PLACE = re.compile(r"([\w.]+\[\d+\])(?:@|: ledger at \d+, chunk Span\(start=)(\d+)\b(?!-)")
"""As the oracle names a record, and the engine the beginning of a chunk that does not join on."""
_SPAN = re.compile(r"([\w.]+\[\d+\])@(\d+)-(\d+)")
_LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) (\w+) +\S+ (.*)$")
_SAID = ("WARNING", "ERROR", "CRITICAL")
_INFO = re.compile(r"(assigned|revoked) \S|drained:")


class Event(NamedTuple):
    """Something that happened, `at` in seconds of the wall clock."""

    at: float
    who: str
    what: str


def timeline(story: Iterable[Happened], members: Iterable[Member], wrong: Sequence[str], prefix: str) -> list[str]:
    """What happened, in order. Of chunks that went well only those are told that hold an offset that the oracle
    accuses; `prefix` is cut from the topics' names."""
    accused = {(source, int(offset)) for sentence in wrong for source, offset in _PLACE.findall(sentence)}
    events = [event for happened in story for event in _fault(happened)]
    for member in members:
        events += _process(member, accused, prefix)
    width = max((len(event.who) for event in events), default=0)
    return [f"{_clock(at)}  {who:<{width}}  {what[:WIDTH]}" for at, who, what in sorted(events)]


def _fault(happened: Happened) -> Iterator[Event]:
    name = f"#{happened.fault.number} {happened.fault.kind}"
    where = aim(happened.fault)
    if happened.missed or happened.error:
        yield Event(happened.began, NEMESIS, f"{name}{where}: {happened.missed or happened.error}")
        return
    yield Event(happened.began, NEMESIS, f"{name}{where}")
    if happened.ended - happened.began > 0.5:
        yield Event(happened.ended, NEMESIS, f"#{happened.fault.number} is over")


def aim(fault: Fault) -> str:
    """Whom or what a fault means, where its kind leaves that open."""
    if fault.kind.endswith("locked"):
        return f": {fault.table}"
    return f": slot {fault.slot}" if fault.kind.startswith("consumer") else ""


def _process(member: Member, accused: set[tuple[str, int]], prefix: str) -> Iterator[Event]:
    name = member.log.stem
    yield Event(member.started, name, "started")
    at = member.started
    for text in member.log.read_text(errors="replace").replace(prefix, "").splitlines():
        found = _LINE.match(text)
        if found is None:
            if text.startswith("CommandError"):
                yield Event(at, name, text)
            continue
        day, milliseconds, level, said = found.groups()
        at = datetime.fromisoformat(day).timestamp() + int(milliseconds) / 1000
        if level in _SAID or _INFO.search(said) or _holds(said, accused):
            yield Event(at, name, said)
    code = member.process.returncode
    yield Event(max(at, member.ended), name, f"ended, {member.asked or 'of itself'} (exit code {code})")


def _holds(said: str, accused: set[tuple[str, int]]) -> bool:
    """Whether a chunk of which a line tells holds an accused offset."""
    spans = [(source, range(int(first), int(last) + 1)) for source, first, last in _SPAN.findall(said)]
    return any(source == named and offset in span for source, span in spans for named, offset in accused)


def _clock(at: float) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(at))}.{int(at * 10) % 10}"
