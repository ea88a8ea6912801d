"""`python -m tests.chaos`: rounds of faults until there have been enough, or the time is up."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.chaos import report, scenarios, sensitivity
from tests.chaos.plants import PLANTS
from tests.chaos.rounds import A_ROUND, PACE, RATE, Plan, Result, run_round
from tests.chaos.servers import Servers, running_servers
from tests.chaos.shrink import Shrinker

READABLE = 80
"""Lines of a story that are printed; longer ones are left in their file."""


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    options.add_argument("--seed", type=int, default=1, help="everything that is drawn follows from it")
    options.add_argument("--faults", type=int, default=1000, help="stop after so many")
    options.add_argument("--minutes", type=float, default=60, help="begin no round after so many minutes")
    options.add_argument("--per-round", type=int, metavar="N", help=f"faults in one round ({A_ROUND})")
    options.add_argument("--pace", type=float, default=PACE, metavar="SECONDS", help="from fault to fault, on average")
    options.add_argument("--rate", type=int, default=RATE, help="records sent per second")
    options.add_argument(
        "--aimed", action="store_true", help="only faults that are aimed at the moments that matter most"
    )
    options.add_argument("--round", type=int, metavar="N", help="only this round of the seed")
    options.add_argument("--first", type=int, default=0, metavar="N", help="begin with this round of the seed")
    options.add_argument("--only", metavar="3,7,9", help="only these faults of the round; 'none' for none")
    options.add_argument("--shrink", action="store_true", help="look for the fewest faults with which a round fails")
    options.add_argument("--shrink-minutes", type=float, default=15, metavar="M", help="for so long, each time")
    options.add_argument(
        "--plant",
        default="",
        metavar="NAME",
        help="build a bug into the consumers; without --round, play until the oracle has named it. 'all', or of "
        + ", ".join(PLANTS),
    )
    options.add_argument("--no-scenarios", action="store_true", help="leave out topics made anew and retention")
    options.add_argument("--folder", type=Path, help="where reports and the logs of failing rounds go")
    options.add_argument("--keep", action="store_true", help="keep the logs of rounds that pass, too")
    return options


def main() -> int:
    options = parser()
    chosen = options.parse_args()
    plants = list(PLANTS) if chosen.plant == "all" else [chosen.plant] if chosen.plant else []
    if unknown := [name for name in plants if name not in PLANTS]:
        options.error(f"there is no plant {unknown[0]!r}; there are {', '.join(PLANTS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    chosen.folder = chosen.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with running_servers() as servers:
        if plants and chosen.round is None:
            return _try_plants(servers, chosen, plants)
        results = _rounds(servers, chosen)
        played = {} if chosen.no_scenarios or chosen.round is not None else scenarios.play(servers, chosen.folder)
    return _conclude(chosen, results, played)


def _conclude(chosen: argparse.Namespace, results: list[Result], played: dict[str, list[str]]) -> int:
    figures = report.as_dict(chosen.seed, results, played)
    (chosen.folder / "report.json").write_text(json.dumps(figures, indent=2))
    (chosen.folder / "details.json").write_text(json.dumps(report.details(results), indent=1))
    _say(report.as_markdown(figures))
    _say(f"{figures['faults']} faults in {len(results)} rounds of seed {chosen.seed}, {figures['records']} records")
    _say(f"Report: {chosen.folder / 'report.json'}")
    return 1 if figures["rounds failed"] or any(played.values()) else 0


# ---- rounds ---------------------------------------------------------------------------------------------------------


def _rounds(servers: Servers, chosen: argparse.Namespace) -> list[Result]:
    results: list[Result] = []
    deadline = time.monotonic() + chosen.minutes * 60
    number = chosen.first if chosen.round is None else chosen.round
    while (left := chosen.faults - sum(each.faults for each in results)) > 0 and time.monotonic() < deadline:
        logs = chosen.folder / f"round-{number}"
        results.append(run_round(servers, _plan(chosen, number), logs))
        _tell(servers, chosen, results[-1], logs, left)
        if chosen.round is not None:
            break
        number += 1
    return results


def _plan(chosen: argparse.Namespace, number: int, plant: str = "") -> Plan:
    plant = plant or chosen.plant
    faults = chosen.per_round or (sensitivity.PER_ROUND if plant else A_ROUND)
    only = None
    if chosen.only is not None:
        only = frozenset() if chosen.only == "none" else frozenset(map(int, chosen.only.split(",")))
    return Plan(chosen.seed, number, faults, chosen.pace, chosen.rate, only, chosen.aimed or bool(plant), plant)


def _tell(servers: Servers, chosen: argparse.Namespace, result: Result, logs: Path, left: int) -> None:
    if result.wrong:
        _tell_failure(result, logs)
        if chosen.shrink:
            _shrink(servers, chosen, result)
        return
    _say(
        f"round {result.plan.number}: {result.faults} faults, {result.records.total()} records, "
        f"{result.seconds:.0f} s: nothing lost, nothing doubled ({max(0, left - result.faults)} faults to go)"
    )
    if not chosen.keep:
        shutil.rmtree(logs)


def _tell_failure(result: Result, logs: Path) -> None:
    """What was wrong, and the story as far as it is readable; all of it is in the folder of the logs."""
    story = report.as_story(result)
    (logs / "story.txt").write_text(story + "\n")
    short = report.as_story(replace(result, timeline=result.timeline if len(result.timeline) <= READABLE else []))
    _say(short)
    _say(f"  story: {logs / 'story.txt'}; again: {report.again(result.plan)}")


def _shrink(servers: Servers, chosen: argparse.Namespace, failed: Result) -> None:
    logs = chosen.folder / f"shrunk-{failed.plan.number}"
    smallest = Shrinker(servers, failed, logs, chosen.shrink_minutes, _say).run()
    _say(f"  shrunk from {failed.faults} faults to {smallest.faults}:")
    logs.mkdir(exist_ok=True)
    _tell_failure(smallest, logs)


# ---- plants ---------------------------------------------------------------------------------------------------------


def _try_plants(servers: Servers, chosen: argparse.Namespace, plants: list[str]) -> int:
    trials = []
    for plant in plants:
        trial = sensitivity.catch(servers, plant, lambda number, name=plant: _plan(chosen, number, name), chosen.folder)
        _say(str(trial))
        _say(f"  again: {report.again(trial.results[-1].plan)}")
        if trial.sentence and chosen.shrink:
            _shrink(servers, chosen, trial.results[-1])
        trials.append(trial)
    missed = [trial.plant for trial in trials if not trial.sentence]
    _say(
        f"{len(trials) - len(missed)} of {len(trials)} plants caught" + (f"; not {', '.join(missed)}" if missed else "")
    )
    return 1 if missed else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
