"""A consumer, failed records of it and runs over them, for the tests of retry runs and of their pages."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from django.contrib.auth.models import Group

from consumers.api import BatchConsumer, FatalError, reject
from consumers.inbox.runs import orders
from consumers.inbox.runs.orders import Pace
from consumers.inbox.runs.selection import freeze
from consumers.inbox.runs.work import work_one_slice
from consumers.models import FailedRecord, RetryProgress, RetryRun
from tests.integration.admin_records import failed


class Team(msgspec.Struct):
    name: str
    members: int = 0
    token: str = ""


class Teams(BatchConsumer[Team, Group]):
    """Makes groups of users of what it is sent, except of names that begin with "bad"; "fatal" stops it."""

    name = "admin-test"
    topics = ("orders",)
    event = Team
    model = Group
    unique = ("name",)
    redact = ("token",)

    def process(self, event: Team, context: Any) -> Group:
        if event.name == "fatal":
            raise FatalError("a rejected credential")
        return reject("bad_name", name=event.name) if event.name.startswith("bad") else Group(name=event.name)


def team(name: str, **fields: Any) -> FailedRecord:
    """A failed record of a team."""
    more = {key: fields.pop(key) for key in ("members", "token") if key in fields}
    return failed(value=json.dumps({"name": name} | more).encode(), **fields)


def teams() -> set[str]:
    return set(Group.objects.values_list("name", flat=True))


def start(by: str = "ada", **more: Any) -> RetryRun:
    """A run over all that is pending, or over what meets the `lookups`."""
    selection = freeze(more.pop("lookups", {}), "all of them", "default")
    number = selection.pending("default").count()
    return orders.start(selection, Pace(**more), by=by, reason="it is mended", expected=number, using="default")


def work_off(most: int = 100) -> int:
    """Work until no run is due; how many slices that took."""
    for slices in range(most):
        if not work_one_slice():
            return slices
    raise AssertionError(f"still due after {most} slices")


def progress(run: RetryRun) -> RetryProgress:
    return RetryProgress.objects.get(pk=run.pk)


def counts(run: RetryRun) -> tuple[int, int, int]:
    """Succeeded, failed again, skipped."""
    now = progress(run)
    return now.succeeded, now.failed_again, now.skipped


def state(run: RetryRun) -> str:
    run.refresh_from_db()
    return run.state
