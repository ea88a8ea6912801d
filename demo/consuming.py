"""Runs the consumers as a process of their own, as in production, and watches them through the ledger."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import CommandError

from demo.display import Display
from demo.ledgers import Totals, since, totals

LOG_FILE = "demo-consume.log"
LOG_LINES = 15
STOP_SECONDS = 60


@dataclass(frozen=True)
class Consumed:
    """What a run did: the consumer's own summary, and by consumer how far the ledger moved."""

    summary: Mapping[str, Any]
    counts: Totals


def consume(manage: Path, sent: Mapping[str, int], log: Path, out: TextIO) -> Consumed:
    """Run `consume NAMES --until-end` to its end; `sent` tells how many records each consumer will find.

    Raises:
        CommandError: it ended by a fault; the message has the end of its log.
    """
    before = totals(sent)
    command = [sys.executable, str(manage), "consume", *sent, "--until-end", "--json"]
    with log.open("wb") as errors:
        # In a session of its own, so that a terminal's Ctrl-C reaches it once only, through us: the second would abort.
        # ourselves, no shell
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, start_new_session=True)  # noqa: S603
    try:
        _watch(process, before, Display(out, sent))
    except KeyboardInterrupt:
        _drain(process)
        raise
    output = process.stdout.read().decode() if process.stdout else ""
    if process.returncode != 0:
        raise CommandError(f"the consumers stopped with exit code {process.returncode}; {log} ends so:\n{_tail(log)}")
    return Consumed(summary=json.loads(output.splitlines()[-1]), counts=since(before, totals(sent)))


def _watch(process: subprocess.Popen[bytes], before: Totals, display: Display) -> None:
    due = time.monotonic()
    while process.poll() is None:
        if time.monotonic() >= due:
            display.show(since(before, totals(before)))
            due = time.monotonic() + display.every
        time.sleep(0.05)
    display.show(since(before, totals(before)))


def _drain(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:])
