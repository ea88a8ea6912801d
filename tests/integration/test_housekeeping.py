"""What a consuming process does beside consuming: each in its time, whatever becomes of the others."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.concurrency import Scope, monotonic, sleep
from consumers.reporting import housekeeping
from consumers.reporting.housekeeping import Housekeeper, Task, housekeepers
from tests.integration.engine import log_of, wait_until
from tests.integration.reports import Reported

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second takes a hundredth."""
    monkeypatch.setattr(housekeeping, "monotonic", lambda: 100 * monotonic())
    monkeypatch.setattr(housekeeping, "_TICK", 0.005)


def test_a_receiver_of_alerts_that_does_not_answer_delays_no_roll_up(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def never_ends(*args: Any, **kwargs: Any) -> None:
        done.append("delivery")
        sleep(60)

    monkeypatch.setattr(housekeeping, "deliver_due", never_ends)
    for name in ("roll_up", "prune", "judge"):
        monkeypatch.setattr(housekeeping, name, lambda *_, name=name: done.append(name))
    with Scope() as scope:
        for each in housekeepers(Reported(log_of()).process):
            scope.spawn(each.run)
        wait_until(lambda: "delivery" in done)
        before = done.count("roll_up")
        wait_until(lambda: done.count("roll_up") >= before + 3 and {"prune", "judge"} <= set(done))
        scope.cancel()
    assert done.count("delivery") == 1


def test_a_task_that_fails_is_told_once_and_tried_on(db: None, caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    def fails() -> None:
        tries.append(1)
        raise ValueError("no luck")

    with Scope() as scope:
        scope.spawn(Housekeeper([Task("tending", 1.0, fails)]).run)
        wait_until(lambda: len(tries) >= 3)
        scope.cancel()
    assert caplog.text.count("tending failed, and is tried again every 1 s: no luck") == 1
