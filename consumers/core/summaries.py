"""Summaries of runs added up: over the consumers of a process, over the processes of a supervisor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

COUNTS = ("received", "written", "duplicates", "skipped", "failed")


def add_up(summaries: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Each of COUNTS over all the summaries; what one does not tell counts as nothing."""
    each = list(summaries)
    return {name: sum(int(summary.get(name, 0)) for summary in each) for name in COUNTS}


def longest(summaries: Iterable[Mapping[str, Any]]) -> float:
    """The seconds of what ran longest."""
    return max((float(summary.get("seconds", 0.0)) for summary in summaries), default=0.0)
