"""Draws faults from a seed and lets them happen."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tests.chaos.fault import Fault, Missed
from tests.chaos.faults import KINDS
from tests.chaos.process_faults import SLOTS
from tests.chaos.server_faults import TABLES

if TYPE_CHECKING:
    from tests.chaos.rounds import World


def schedule(seed: str, count: int, pace: float, dealt: Mapping[int, str]) -> list[Fault]:
    """So many faults, on average one every `pace` seconds; their kinds are `dealt`, by number, or else drawn by their
    weights. The same seed gives the same faults."""
    rng = random.Random(seed)
    weights = [weight for weight, _ in KINDS.values()]
    faults, at = [], 0.5
    for number in range(count):
        at += min(rng.expovariate(1 / pace), 4 * pace)
        kind = dealt.get(number) or rng.choices(list(KINDS), weights)[0]
        faults.append(
            Fault(number, at, kind, rng.randrange(SLOTS), rng.uniform(0.3, 2.0), rng.randrange(6), rng.choice(TABLES))
        )
    return faults


@dataclass
class Happened:
    """A fault as it really went. Times are of the wall clock; `missed` says why it did not come about."""

    fault: Fault
    began: float
    ended: float = 0.0
    missed: str = ""
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "fault": asdict(self.fault)}


class Nemesis:
    """Carries out a schedule, each fault in a thread of its own, so that they may overlap."""

    def __init__(self, world: World, faults: Sequence[Fault]) -> None:
        self._world = world
        self._faults = faults
        self.story: list[Happened] = []

    def run(self) -> None:
        """Returns when all faults have passed."""
        start = time.monotonic()
        threads = []
        for fault in self._faults:
            time.sleep(max(0.0, start + fault.at - time.monotonic()))
            happened = Happened(fault, time.time())
            self.story.append(happened)
            thread = threading.Thread(target=self._happen, args=(happened,), name=str(fault))
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()

    def _happen(self, happened: Happened) -> None:
        try:
            KINDS[happened.fault.kind][1](self._world, happened.fault)
        except Missed as missed:
            happened.missed = str(missed)
        except Exception as error:  # noqa: BLE001  (the round's verdict tells of it)
            happened.error = f"{type(error).__name__}: {error}"
        happened.ended = time.time()
