"""When a run goes on to its next step, and when it pauses by itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A step of the ramp: so many records are attempted before what failed of them is judged."""

    number: int
    """Counted from 0."""
    size: int
    attempted: int = 0
    failed: int = 0

    @property
    def room(self) -> int:
        """Records that may still be attempted in it."""
        return max(0, self.size - self.attempted)


def step_of(ramp: Sequence[int], number: int, attempted: int = 0, failed: int = 0) -> Step:
    """The step with this number; the ramp's last size holds for all further ones."""
    return Step(number, ramp[min(number, len(ramp) - 1)], attempted, failed)


def too_many_failed(step: Step, pause_above: float, by_reason: Mapping[str, int]) -> str:
    """Why the run must pause now, empty if it need not. Judged as soon as it is certain: a step of 500 in which 251
    have failed is more than half bad, whatever the others would come to."""
    judged_by = step.attempted if step.room == 0 else step.size
    if not step.failed or step.failed / judged_by <= pause_above:
        return ""
    share = f"{step.failed:,} of {step.attempted:,} records failed again in a step of {step.size:,}"
    commonest = max(by_reason, key=lambda reason: by_reason[reason]) if by_reason else ""
    return f"{share}, more than {pause_above:.0%}" + (f"; most often: {commonest}" if commonest else "")


def next_step(ramp: Sequence[int], step: Step) -> Step:
    """Where the run goes on: the next step if this one is complete."""
    return step if step.room else step_of(ramp, step.number + 1)


def slice_size(step: Step, rate: float) -> int:
    """Records to attempt in one transaction: as many as the step has room for, but a second's worth of the rate."""
    return min(step.room, max(1, int(rate))) if rate else step.room
