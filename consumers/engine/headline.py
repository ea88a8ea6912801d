"""The supervisor's line of progress: all processes together first, since a terminal may cut off the rest."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from consumers.core.summaries import add_up, longest
from consumers.engine.place import Place

_WINDOW = 5.0
"""Seconds that a rate is taken over."""
_STEP = 0.25
"""Seconds between two counts that are remembered for it."""


class Headline:
    """Of some places. It remembers what had been received some seconds ago, for the rate."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        self._seen = deque([(time.monotonic(), 0)])

    def now(self) -> str:
        """As things are, with the rate of the last seconds."""
        each = [place.summary() for place in self._places]
        return self._text(each, self._rate(add_up(each)["received"]))

    def last(self) -> str:
        """At the end, with the rate of the whole run."""
        each = [place.summary() for place in self._places]
        return self._text(each, add_up(each)["received"] / max(longest(each), 0.001))

    def _rate(self, received: int) -> float:
        now = time.monotonic()
        if now - self._seen[-1][0] >= _STEP:
            self._seen.append((now, received))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _WINDOW:
            self._seen.popleft()
        at, before = self._seen[0]
        return (received - before) / max(now - at, _STEP)

    def _text(self, each: Sequence[dict[str, Any]], rate: float) -> str:
        lags = [place.child.lag for place in self._places if place.child and place.child.lag is not None]
        parts = [f"{len(each)} processes {add_up(each)['received']:,} ({rate:,.0f}/s)"]
        parts += [f"lag {sum(lags):,}"] if lags else []
        parts += _troubles(add_up(each)["failed"], sum(one["restarts"] for one in each))
        parts += [f"[{one['process']}] " + _brief(one) for one in each]
        return " | ".join(parts)


def _troubles(failed: int, restarts: int) -> list[str]:
    told = {f"{failed:,} failed": failed, f"{restarts:,} restart{'s' * (restarts != 1)}": restarts}
    return [text for text, count in told.items() if count]


def _brief(summary: dict[str, Any]) -> str:
    text = f"{summary['received']:,}"
    if summary["failed"]:
        text += f" {summary['failed']:,} failed"
    if summary["restarts"]:
        text += f" {summary['restarts']} x restarted"
    return text
