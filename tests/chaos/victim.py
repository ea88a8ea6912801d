"""manage.py for processes that are to die at a named point: on an order it kills itself there, as `kill -9` would.

An order is a file, named by CHAOS_ORDERS, that holds a point and the number of passes to survive. The engine knows
nothing of this: its methods are wrapped here, in this process only.
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

AFTER_A_CLAIM = "after a claim"
AT_A_REVOKE = "at a revoke"
POINTS = (
    "with the ledger locked",
    "in isolation",
    "before COMMIT",
    "after COMMIT",
    "before the commit to the broker",
    AFTER_A_CLAIM,
    AT_A_REVOKE,
)
IN_REPROCESSING = "in reprocessing"


class Orders:
    """Where this process is to die."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._order = ("", 0)
        self._passes = 0

    def passing(self, point: str) -> None:
        """Called at a point; does not return if the order says so."""
        try:
            named, _, count = self._path.read_text().rpartition(":")
            order = (named, int(count))
        except (FileNotFoundError, ValueError):
            return
        if order != self._order:
            self._order, self._passes = order, 0
        if named == point:
            self._passes += 1
            if self._passes > order[1]:
                self._path.unlink(missing_ok=True)
                os.kill(os.getpid(), signal.SIGKILL)


def arm(orders: Orders) -> None:
    """Wrap the engine's methods with the points. Django's apps must be loaded."""
    from consumers.engine.runner import Runner
    from consumers.kafka.source import KafkaSource
    from consumers.ledger import Ledger
    from consumers.pipeline.failed_progress import FailedRecordProgress
    from consumers.pipeline.flow import Flow
    from consumers.pipeline.progress import LedgerProgress
    from consumers.pipeline.round import Round

    def before(owner: Any, name: str, point: str) -> None:
        _wrap(owner, name, lambda: orders.passing(point), lambda: None)

    def after(owner: Any, name: str, point: str) -> None:
        _wrap(owner, name, lambda: None, lambda: orders.passing(point))

    after(LedgerProgress, "begin", "with the ledger locked")
    before(Round, "alone", "in isolation")
    after(LedgerProgress, "finish", "before COMMIT")
    after(Flow, "settle", "after COMMIT")
    before(KafkaSource, "commit", "before the commit to the broker")
    after(Ledger, "claim", AFTER_A_CLAIM)
    before(Runner, "revoked", AT_A_REVOKE)
    after(FailedRecordProgress, "finish", IN_REPROCESSING)


def _wrap(owner: Any, name: str, before: Callable[[], None], after: Callable[[], None]) -> None:
    original = getattr(owner, name)

    @wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        before()
        result = original(*args, **kwargs)
        after()
        return result

    setattr(owner, name, wrapped)


def left_behind() -> list[str]:
    """Greenlets that are still alive, but for the workers of the connection pool, which live with the process."""
    import gevent

    alive = [each for each in gc.get_objects() if isinstance(each, gevent.Greenlet) and each.started and not each.dead]
    return [repr(each) for each in alive if "Thread(pool-" not in repr(each)]


def main() -> None:
    from consumers.concurrency import patch_for_command

    patch_for_command(sys.argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    import django

    import manage

    django.setup()
    arm(Orders(Path(os.environ["CHAOS_ORDERS"])))
    try:
        manage.main()
    finally:
        Path(os.environ["CHAOS_LEFT"]).write_text(json.dumps(left_behind()))


if __name__ == "__main__":
    main()
