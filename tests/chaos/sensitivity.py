"""Does the suite see what it is there to see? Bugs are built into the consumers, and the oracle must name them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.plants import PLANTS
from tests.chaos.rounds import Plan, Result, run_round
from tests.chaos.servers import Servers

MOST_FAULTS = 25
PER_ROUND = 5


@dataclass
class Trial:
    """How a plant fared."""

    plant: str
    results: list[Result] = field(default_factory=list)
    sentence: str = ""
    """With which the oracle told of it; empty if it did not."""

    @property
    def faults(self) -> int:
        return sum(each.faults for each in self.results)

    def __str__(self) -> str:
        cost = f"{self.faults} faults in {len(self.results)} rounds, {sum(each.seconds for each in self.results):.0f} s"
        if self.sentence:
            return f"{self.plant}: caught after {cost}: {self.sentence}"
        others = [sentence for each in self.results for sentence in each.wrong]
        return f"{self.plant}: NOT CAUGHT by {cost}; the oracle said {others[:3] or 'nothing'}"


def catch(servers: Servers, plant: str, plan: Callable[[int], Plan], folder: Path) -> Trial:
    """Play rounds, `plan` tells them by number, until the oracle names the plant in the words that it must find, or
    there have been enough."""
    trial = Trial(plant)
    wanted = re.compile(PLANTS[trial.plant].sentence)
    while not trial.sentence and trial.faults < MOST_FAULTS and len(trial.results) <= MOST_FAULTS // PER_ROUND:
        number = len(trial.results)
        trial.results.append(run_round(servers, plan(number), folder / f"{trial.plant}-{number}"))
        trial.sentence = next(filter(wanted.search, trial.results[-1].wrong), "")
    return trial
