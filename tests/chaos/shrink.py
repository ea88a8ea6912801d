"""From a failing round to the fewest faults with which it still fails."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tests.chaos.rounds import Result, joined, run_round
from tests.chaos.servers import Servers


def fewest(numbers: Sequence[int], fails: Callable[[Sequence[int]], bool]) -> list[int]:
    """The smallest set of these, found by leaving parts out, with which `fails` is still true: first all, then halves,
    quarters, and at last one by one (Zeller's ddmin). What `fails` says need not be the same each time: only what has
    failed once is kept."""
    if not numbers or fails(()):
        return []
    left, parts = list(numbers), 2
    while len(left) > 1:
        size = -(-len(left) // parts)
        rests = ([*left[:start], *left[start + size :]] for start in range(0, len(left), size))
        smaller = next((rest for rest in rests if rest and fails(rest)), None)
        if smaller is not None:
            left, parts = smaller, max(2, parts - 1)
        elif size == 1:
            break
        else:
            parts = min(len(left), parts * 2)
    return left


class Shrinker:
    """Plays parts of a round that failed, for as long as there is time."""

    def __init__(
        self, servers: Servers, failed: Result, folder: Path, minutes: float, say: Callable[[str], None]
    ) -> None:
        self.best = failed
        """The smallest round that failed in the same way."""
        self._servers = servers
        self._complaints = complaints(failed.wrong)
        self._folder = folder
        self._deadline = time.monotonic() + minutes * 60
        self._say = say

    def run(self) -> Result:
        """The round with the fewest faults that was found."""
        begun = sorted(happened.fault.number for happened in self.best.story if not happened.missed)
        fewest(begun, self._fails)
        return self.best

    def _fails(self, numbers: Sequence[int]) -> bool:
        if time.monotonic() > self._deadline:
            return False
        plan = replace(self.best.plan, only=frozenset(numbers))
        shutil.rmtree(self._folder, ignore_errors=True)
        result = run_round(self._servers, plan, self._folder)
        same = self._complaints & complaints(result.wrong)
        verdict = (
            f"fails: {min(same)} ..."
            if same
            else f"fails otherwise: {result.wrong[0][:100]}"
            if result.wrong
            else "passes"
        )
        self._say(f"  only {joined(numbers)}: {verdict} ({result.seconds:.0f} s)")
        if same:
            self.best = result
        return bool(same)


def complaints(wrong: Sequence[str]) -> set[str]:
    """The kinds of sentences among these: their first words, without what differs from run to run."""
    return {" ".join(re.sub(r"[\d\-]+", "", sentence).split()[:2]) for sentence in wrong}
