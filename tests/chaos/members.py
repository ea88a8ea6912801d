"""Consumer processes in slots: one that ends is started again, as a supervisor would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.chaos.victim import KILL
from tests.e2e.harness import CHECKOUT, OWN

RESTART_AFTER = 0.2


@dataclass
class Member:
    """One process. `asked` says how it was told to end, if it was."""

    slot: int
    process: subprocess.Popen[bytes]
    log: Path
    orders: Path
    started: float = field(default_factory=time.time)
    asked: str = ""
    ordered: bool = False
    """Whether it was ever told to die at a point: it may do so long after that was given up."""
    ended: float = 0.0

    @property
    def left(self) -> Path:
        """Where it says what it left behind; absent if it had no time to."""
        return self.log.with_suffix(".left")

    @property
    def held(self) -> list[tuple[str, int, int]]:
        """Topic, partition and epoch of what it was about to settle when it carried out an order."""
        try:
            return [tuple(each) for each in json.loads(self.orders.with_suffix(".held").read_text())]
        except (FileNotFoundError, ValueError):
            return []

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def ask(self, number: int, how: str) -> None:
        """Send a signal; a SIGTERM once only, since a second one means something else."""
        if self.is_alive and not (how == "SIGTERM" and self.asked):
            self.asked = self.asked or how
            self.process.send_signal(number)

    @property
    def is_frozen(self) -> bool:
        try:
            return self.is_alive and psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED
        except psutil.NoSuchProcess:
            return False

    def order(self, action: str, point: str, passes: int) -> None:
        """Do something to yourself at the point, after so many passes."""
        self.ordered = self.ordered or action == KILL
        draft = self.orders.with_suffix(f".{uuid.uuid4().hex}")  # faults overlap, and may give orders at once
        draft.write_text(f"{action}:{point}:{passes}")
        draft.replace(self.orders)


class Members:
    """The slots of one round."""

    def __init__(self, folder: Path, environment: dict[str, str], *, static: bool, chunk_size: int) -> None:
        self._folder = folder
        self._environment = os.environ | OWN | environment
        self._static = static
        self._chunk_size = chunk_size
        self._wanted: set[int] = set()
        self._slots: dict[int, Member] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.all: list[Member] = []
        self._keeper = threading.Thread(target=self._keep, name="supervisor", daemon=True)
        self._keeper.start()

    def want(self, slot: int) -> None:
        self._wanted.add(slot)

    def dismiss(self, slot: int) -> None:
        """Tell a member to leave, for good."""
        self._wanted.discard(slot)
        if member := self._slots.get(slot):
            member.ask(signal.SIGTERM, "SIGTERM")

    def alive(self, slot: int) -> Member | None:
        member = self._slots.get(slot)
        return member if member is not None and member.is_alive else None

    def start(self, slot: int, *arguments: str) -> Member:
        """Start a process that nobody supervises."""
        with self._lock:
            log = self._folder / f"slot{slot}-{len(self.all):03d}.log"
            orders = log.with_suffix(".orders")
            own = {"CHAOS_ORDERS": str(orders), "CHAOS_LEFT": str(log.with_suffix(".left"))}
            command = [sys.executable, "-m", "tests.chaos.victim", *arguments]
            with log.open("wb") as output:
                process = subprocess.Popen(
                    command, cwd=CHECKOUT, env=self._for(slot) | own, stdout=output, stderr=subprocess.STDOUT
                )
            member = Member(slot, process, log, orders)
            self.all.append(member)
        return member

    def end(self, seconds: float) -> list[Member]:
        """Tell all to leave and wait; returns those that had to be killed."""
        self._closing.set()
        self._keeper.join()
        for member in self.all:
            member.orders.unlink(missing_ok=True)
            member.ask(signal.SIGCONT, "")
            member.ask(signal.SIGTERM, "SIGTERM")
        deadline = time.monotonic() + seconds
        late = []
        for member in self.all:
            try:
                member.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                late.append(member)
                member.process.kill()
                member.process.wait()
        return late

    def _for(self, slot: int) -> dict[str, str]:
        properties = self._environment["KAFKA_PROPERTIES"]
        if self._static:
            properties = properties[:-1] + f', "group.instance.id": "slot-{slot}"}}'
        return self._environment | {"KAFKA_PROPERTIES": properties}

    def _keep(self) -> None:
        while not self._closing.wait(0.05):
            for slot in sorted(self._wanted):
                self._restart_if_ended(slot)

    def _restart_if_ended(self, slot: int) -> None:
        member = self._slots.get(slot)
        if member is not None:
            if member.is_alive:
                return
            member.ended = member.ended or time.time()
            if time.time() - member.ended < RESTART_AFTER:
                return
        self._slots[slot] = self.start(slot, "consume", "clicks", "payments", "--chunk-size", str(self._chunk_size))
