"""manage.py for processes that are to suffer at a named point: on an order they kill, freeze or pause themselves there.

An order is a file, named by CHAOS_ORDERS. The engine knows nothing of this: its methods are wrapped here, in this
process only. CHAOS_PLANT names a bug to build in (see `plants`).
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from tests.chaos.plants import PLANTS

KILL, FREEZE, PAUSE = "kill", "freeze", "pause"

BEFORE_WRITING = "before writing"
BEFORE_COMMIT = "before COMMIT"
AFTER_A_CLAIM = "after a claim"
AT_A_REVOKE = "at a revoke"
POINTS = (
    BEFORE_WRITING,
    "with the ledger locked",
    "in isolation",
    BEFORE_COMMIT,
    "after COMMIT",
    "before the commit to the broker",
    AFTER_A_CLAIM,
    AT_A_REVOKE,
)
IN_REPROCESSING = "in reprocessing"
IN_FLIGHT = "records in flight"

IDLE_SECONDS = 3.0
"""How long the server bears with a transaction of a frozen process: less than a freeze lasts."""


class Orders:
    """What this process is to do to itself, and where. The file holds an action, a point and the passes to let by; it
    goes when the order has been carried out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._order = ""
        self._passes = 0

    def passing(self, point: str, chunk: Any = None, pause: Callable[[], bool] = lambda: False) -> None:
        """Called at a point; after an order to kill it does not return, after one to freeze when somebody wakes it.
        `chunk` is what is about to be settled; `pause` pauses what is in flight, and says whether there was anything.
        """
        try:
            text = self._path.read_text()
            action, named, count = text.split(":")
        except (FileNotFoundError, ValueError):
            return
        if text != self._order:
            self._order, self._passes = text, 0
        if named != point:
            return
        self._passes += 1
        if self._passes > int(count) and (action != PAUSE or pause()):
            self._carry_out(action, chunk)

    def _carry_out(self, action: str, chunk: Any) -> None:
        if chunk is not None:
            held = [[source.topic, source.partition, chunk.epochs[source]] for source in chunk.spans]
            self._path.with_suffix(".held").write_text(json.dumps(held))
        self._path.unlink(missing_ok=True)
        if action != PAUSE:
            os.kill(os.getpid(), signal.SIGKILL if action == KILL else signal.SIGSTOP)


def arm(orders: Orders) -> None:
    """Wrap the engine's methods with the points. Django's apps must be loaded."""
    from consumers.engine.intake import Intake
    from consumers.engine.membership import Membership
    from consumers.kafka.source import KafkaSource
    from consumers.ledger import Ledger
    from consumers.pipeline.failed_progress import FailedRecordProgress
    from consumers.pipeline.flow import Flow
    from consumers.pipeline.progress import LedgerProgress
    from consumers.pipeline.round import Round

    def before(owner: Any, name: str, point: str) -> None:
        wrap(owner, name, before=lambda *_: orders.passing(point))

    def after(owner: Any, name: str, point: str) -> None:
        wrap(owner, name, after=lambda *_: orders.passing(point))

    wrap(Flow, "settle", before=lambda _, processed, *__: orders.passing(BEFORE_WRITING, processed.chunk))
    after(LedgerProgress, "begin", "with the ledger locked")
    before(Round, "alone", "in isolation")
    wrap(LedgerProgress, "finish", after=lambda _, chunk, __: orders.passing(BEFORE_COMMIT, chunk))
    after(Flow, "settle", "after COMMIT")
    before(KafkaSource, "commit", "before the commit to the broker")
    after(Ledger, "claim", AFTER_A_CLAIM)
    before(Membership, "revoked", AT_A_REVOKE)
    after(FailedRecordProgress, "finish", IN_REPROCESSING)
    wrap(Intake, "take_in", after=lambda intake, *_: orders.passing(IN_FLIGHT, pause=lambda: _pause_in_flight(intake)))


def wrap(
    owner: Any,
    name: str,
    before: Callable[..., object] = lambda *_: None,
    after: Callable[..., object] = lambda *_: None,
) -> None:
    """Have a method do something before and after; both are given its arguments."""
    original = getattr(owner, name)

    @wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        before(*args)
        result = original(*args, **kwargs)
        after(*args)
        return result

    setattr(owner, name, wrapped)


def _pause_in_flight(intake: Any) -> bool:
    """Pause the partitions of lanes that have records under way, as a lane that stays full would."""
    from consumers.engine.partitions import Hold

    busy = [p for p in intake.partitions if p.hold is Hold.ACTIVE and intake.lanes[p.lane].waiting]
    intake.pause(busy)
    return bool(busy)


def left_behind() -> list[str]:
    """Greenlets that are still alive, but for the workers of the connection pool, which live with the process; and
    threads of the broker's client."""
    import gevent

    alive = [each for each in gc.get_objects() if isinstance(each, gevent.Greenlet) and each.started and not each.dead]
    greenlets = [repr(each) for each in alive if "Thread(pool-" not in repr(each)]
    names = [each.read_text().strip() for each in Path("/proc/self/task").glob("*/comm")]
    return greenlets + [f"thread {name}" for name in names if name.startswith("rdk:")]


def main() -> None:
    from consumers.concurrency import patch_for_command

    patch_for_command(sys.argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    import django
    from django.conf import settings

    import manage

    settings.CONSUMERS = {**settings.CONSUMERS, "transaction_idle_timeout": IDLE_SECONDS}
    django.setup()
    arm(Orders(Path(os.environ["CHAOS_ORDERS"])))
    if plant := os.environ.get("CHAOS_PLANT"):
        PLANTS[plant].build_in()
    try:
        manage.main()
    finally:
        Path(os.environ["CHAOS_LEFT"]).write_text(json.dumps(left_behind()))


if __name__ == "__main__":
    main()
