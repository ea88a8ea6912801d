"""What a run came to, as JSON and as a table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from tests.chaos.exits import GAVE_UP, Exit
from tests.chaos.rounds import A_ROUND, PACE, RATE, Plan, Result, joined


def as_dict(seed: int, results: Sequence[Result], scenarios: dict[str, list[str]]) -> dict[str, Any]:
    """All figures of a run."""
    return {
        "seed": seed,
        "faults": sum(each.faults for each in results),
        "missed": sum(bool(h.missed) for each in results for h in each.story),
        "rounds": len(results),
        "rounds failed": [each.plan.number for each in results if each.wrong],
        "seconds": round(sum(each.seconds for each in results)),
        "records": dict(sum((each.records for each in results), Counter())),
        "processes": dict(Counter(_how(exit_) for each in results for exit_ in each.exits)),
        "signs": dict(sum((each.signs for each in results), Counter())),
        "kinds": _kinds(results),
        "scenarios": scenarios,
        "wrong": {str(each.plan.number): each.wrong for each in results if each.wrong},
    }


def _how(ended: Exit) -> str:
    return ended.asked or ("the client gave up" if GAVE_UP in ended.last else "no server at its start")


def _kinds(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    recoveries: defaultdict[str, list[float | None]] = defaultdict(list)
    for result in results:
        for happened, recovery in zip(result.story, result.recoveries, strict=True):
            if not happened.missed and not happened.error:
                recoveries[happened.fault.kind].append(recovery)
    return {kind: _figures(found) for kind, found in sorted(recoveries.items())}


def _figures(found: list[float | None]) -> dict[str, Any]:
    known = [each for each in found if each is not None]
    if not known:
        return {"faults": len(found), "recovered": 0, "median": None, "max": None}
    return {
        "faults": len(found),
        "recovered": len(known),
        "median": round(median(known), 2),
        "max": round(max(known), 2),
    }


def as_markdown(figures: dict[str, Any]) -> str:
    """The faults by kind, with the time from a fault to the first chunk settled after it."""
    lines = ["| fault | times | recoveries seen | median s | max s |", "|---|---:|---:|---:|---:|"]
    for kind, row in figures["kinds"].items():
        lines.append(f"| {kind} | {row['faults']} | {row['recovered']} | {row['median']} | {row['max']} |")
    lines.append(f"| all | {figures['faults']} | {sum(r['recovered'] for r in figures['kinds'].values())} | | |")
    return "\n".join(lines)


def as_story(result: Result) -> str:
    """A failing round, to be read: what was wrong, and what happened when."""
    protocol, static, chunk = result.plan.setting()
    planted = f", {result.plan.plant} built in" if result.plan.plant else ""
    lines = [
        f"Round {result.plan.number} of seed {result.plan.seed} FAILED ({protocol} protocol, "
        f"{'static' if static else 'dynamic'} members, chunks of {chunk}, {result.faults} faults{planted}):"
    ]
    return "\n".join(
        [*lines, *(f"  WRONG: {each}" for each in result.wrong), *(f"  {each}" for each in result.timeline)]
    )


def again(plan: Plan) -> str:
    """The command that plays the round once more."""
    chosen = f" --only {joined(plan.only)}" if plan.only is not None else ""
    planted = f" --plant {plan.plant}" if plan.plant else " --aimed" if plan.aimed else ""
    usual = Plan(plan.seed, plan.number, A_ROUND, PACE, RATE)
    others = (("per-round", "faults"), ("pace", "pace"), ("rate", "rate"))
    given = [
        f" --{option} {getattr(plan, name)}" for option, name in others if getattr(plan, name) != getattr(usual, name)
    ]
    return f"python -m tests.chaos --seed {plan.seed} --round {plan.number}{planted}{chosen}{''.join(given)} --keep"


def details(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Every fault of every round, as it went."""
    return [
        {"round": each.plan.number, "setting": each.plan.setting(), "story": [h.as_dict() for h in each.story]}
        | {"exits": [asdict(e) for e in each.exits], "seconds": each.seconds}
        for each in results
    ]
