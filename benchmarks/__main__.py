"""`python -m benchmarks run` measures; `python -m benchmarks report [FILE]` writes a run into docs/performance.md."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from benchmarks import options, report, rounds
from benchmarks.commands import CHECKOUT, CommandFailed
from benchmarks.results import Results, newest
from benchmarks.say import say
from devstack.errors import DevstackError

PAGE = CHECKOUT / "docs" / "performance.md"
WRONG_USAGE = 2
INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = main.add_subparsers(dest="command", required=True)
    options.add_arguments(commands.add_parser("run", help="measure, on servers of its own"))
    reporting = commands.add_parser("report", help="write a run's figures and pictures into a page")
    reporting.add_argument("file", type=Path, nargs="?", help="the run's JSON (default: the newest)")
    reporting.add_argument("--page", type=Path, default=PAGE, help="default: docs/performance.md")
    return main


def main() -> int:
    chosen = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    try:
        return _run(chosen) if chosen.command == "run" else _report(chosen)
    except (options.WrongUsage, report.NoMarkers) as error:
        return _failed(str(error), WRONG_USAGE)
    except (DevstackError, CommandFailed, OSError) as error:
        return _failed(str(error), 1)
    except KeyboardInterrupt:
        return _failed("interrupted", INTERRUPTED)


def _run(chosen: argparse.Namespace) -> int:
    plan = options.plan(chosen)
    for name in ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS"):
        os.environ.pop(name, None)  # the benchmark has its own servers
    results = Results(rounds.run(plan))
    path = results.write(plan.results)
    say("\n" + report.markdown(results))
    say(f"\nResults: {path}")
    if plan.is_complete:
        say(f"Written: {', '.join(str(written) for written in report.into_page(results, PAGE))}")
    else:
        say(f"A part of `make bench` only: {PAGE.name} stays as it is (`python -m benchmarks report` writes it).")
    return 1 if results.document["errors"] else 0


def _report(chosen: argparse.Namespace) -> int:
    path = chosen.file or newest(options.RESULTS)
    if path is None:
        raise options.WrongUsage(f"there is no run in {options.RESULTS} yet: `make bench` makes one")
    try:
        results = Results.read(path)
    except OSError as error:
        raise options.WrongUsage(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise options.WrongUsage(f"{path} is not the result of a run: {error}") from error
    for written in report.into_page(results, chosen.page):
        say(f"Written: {written}")
    return 0


def _failed(message: str, code: int) -> int:
    sys.stderr.write(f"{message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
