"""What people do to runs: start, pause, resume, cancel. Each order takes effect once the slice at hand is settled."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from consumers.inbox.runs.selection import FrozenSelection
from consumers.models import FailureGroup, FailureNote, RetryProgress, RetryRun
from consumers.models.runs import RAMP

State = RetryRun.State

ITSELF = "the run itself"
"""Who paused or ended a run that nobody gave an order to."""


@dataclass(frozen=True)
class Pace:
    """How carefully a run goes."""

    rate: float = 0
    """Records a second; 0: as fast as it goes."""
    pause_above: float = 0.5
    """It pauses when more than this share of a step fails again."""
    ramp: tuple[int, ...] = RAMP
    """The sizes of its steps; the last one holds from then on."""


def start(
    selection: FrozenSelection,
    pace: Pace,
    *,
    by: str,
    reason: str,
    expected: int,
    using: str,
    token: str = "",
) -> RetryRun:
    """Store a run, which the next free worker takes up. `expected` is the number of records as far as it is known; the
    worker counts anew. The same `token` starts no second run."""
    with transaction.atomic(using=using):
        run, is_new = RetryRun.objects.using(using).get_or_create(
            token=token or uuid.uuid4().hex,
            defaults={
                "by": by,
                "reason": reason,
                "selection": dict(selection.lookups),
                "shown_as": selection.shown_as,
                "upper_id": selection.upper_id,
                "ramp": [*pace.ramp],
                "rate": pace.rate,
                "pause_above": pace.pause_above,
            },
        )
        if is_new:
            RetryProgress.objects.using(using).create(run=run, total=expected)
            _note_group(run, using)
    return run


def _note_group(run: RetryRun, using: str) -> None:
    """A run over a group of failures is part of that group's history."""
    if "fingerprint" in run.selection:
        known = {name: run.selection[name] for name in ("consumer", "fingerprint") if name in run.selection}
        groups = FailureGroup.objects.using(using).filter(**known)
        text = f"Run {run.pk} started: {run.reason}"
        FailureNote.objects.using(using).bulk_create(
            FailureNote(group=group, by=run.by, kind=FailureNote.Kind.RETRY, text=text) for group in groups
        )


def pause(run: RetryRun, *, by: str, reason: str = "") -> bool:
    """Let a run rest; False if it isn't active."""
    return _become(run, State.PAUSED, RetryRun.ACTIVE, by, reason)


def resume(run: RetryRun, *, by: str) -> bool:
    """Go on with a paused run, where it stopped; False if it isn't paused."""
    return _become(run, State.QUEUED, (State.PAUSED,), by, "")


def cancel(run: RetryRun, *, by: str, reason: str = "") -> bool:
    """End a run for good: what it has done stays, what is left stays pending. False if it has ended already."""
    return _become(run, State.CANCELLED, (*RetryRun.ACTIVE, State.PAUSED), by, reason)


def _become(run: RetryRun, state: str, before: tuple[str, ...], by: str, reason: str) -> bool:
    """Change the state, if it is one of those before it. Doesn't wait for a worker: it holds another row's lock."""
    runs = RetryRun.objects.using(run._state.db).filter(pk=run.pk, state__in=before)
    changed = runs.update(state=state, state_at=timezone.now(), state_by=by, state_reason=reason)
    run.refresh_from_db()
    return bool(changed)
