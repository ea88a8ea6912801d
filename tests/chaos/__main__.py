"""`python -m tests.chaos`: rounds of faults until there have been enough, or the time is up."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos import report, scenarios
from tests.chaos.rounds import Plan, Result, run_round, shrink
from tests.chaos.servers import Servers, running_servers

A_ROUND = 50


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    options.add_argument("--seed", type=int, default=1, help="everything that is drawn follows from it")
    options.add_argument("--faults", type=int, default=1000, help="stop after so many")
    options.add_argument("--minutes", type=float, default=60, help="begin no round after so many minutes")
    options.add_argument("--per-round", type=int, default=A_ROUND, metavar="N", help="faults in one round")
    options.add_argument("--pace", type=float, default=1.3, metavar="SECONDS", help="from fault to fault, on average")
    options.add_argument("--rate", type=int, default=400, help="records sent per second")
    options.add_argument("--round", type=int, metavar="N", help="only this round of the seed")
    options.add_argument("--first", type=int, default=0, metavar="N", help="begin with this round of the seed")
    options.add_argument("--only", default="", metavar="3,7,9", help="only these faults of the round")
    options.add_argument("--shrink", action="store_true", help="look for the fewest faults with which a round fails")
    options.add_argument("--no-scenarios", action="store_true", help="leave out topics made anew and retention")
    options.add_argument("--folder", type=Path, help="where reports and the logs of failing rounds go")
    options.add_argument("--keep", action="store_true", help="keep the logs of rounds that pass, too")
    return options


def main() -> int:
    chosen = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    with running_servers() as servers:
        results = _rounds(servers, chosen, folder)
        played = {} if chosen.no_scenarios or chosen.round is not None else scenarios.play(servers, folder)
    figures = report.as_dict(chosen.seed, results, played)
    (folder / "report.json").write_text(json.dumps(figures, indent=2))
    (folder / "details.json").write_text(json.dumps(report.details(results), indent=1))
    _say(report.as_markdown(figures))
    _say(f"{figures['faults']} faults in {len(results)} rounds of seed {chosen.seed}, {figures['records']} records")
    _say(f"Report: {folder / 'report.json'}")
    return 1 if figures["rounds failed"] or any(played.values()) else 0


def _rounds(servers: Servers, chosen: argparse.Namespace, folder: Path) -> list[Result]:
    results: list[Result] = []
    deadline = time.monotonic() + chosen.minutes * 60
    only = frozenset(map(int, chosen.only.split(","))) if chosen.only else frozenset()
    number = chosen.first if chosen.round is None else chosen.round
    while (left := chosen.faults - sum(each.faults for each in results)) > 0 and time.monotonic() < deadline:
        plan = Plan(chosen.seed, number, chosen.per_round, chosen.pace, chosen.rate, only)
        logs = folder / f"round-{number}"
        results.append(run_round(servers, plan, logs))
        _tell(results[-1], logs, left)
        if results[-1].wrong and chosen.shrink:
            happened = [each.fault.number for each in results[-1].story]
            _say(f"  shrunk to --round {number} --only {_joined(shrink(servers, plan, folder, happened))}")
        if not results[-1].wrong and not chosen.keep:
            shutil.rmtree(logs)
        if chosen.round is not None:
            break
        number += 1
    return results


def _tell(result: Result, logs: Path, left: int) -> None:
    plan = result.plan
    if result.wrong:
        _say(report.as_story(result))
        _say(f"  logs: {logs}; again: python -m tests.chaos --seed {plan.seed} --round {plan.number} --keep")
    else:
        _say(
            f"round {plan.number}: {result.faults} faults, {result.records.total()} records, {result.seconds:.0f} s: "
            f"nothing lost, nothing doubled ({max(0, left - result.faults)} faults to go)"
        )


def _joined(numbers: Sequence[int] | frozenset[int]) -> str:
    return ",".join(map(str, sorted(numbers)))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
