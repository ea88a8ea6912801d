"""Every address of the admin that is about the engine's own tables, and who may use it.

A page that is added and not listed here fails `test_every_address_of_the_admin_has_a_rule`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tests.integration.furnished import Furnished

VIEW_RECORDS = "view_failedrecord"
CONSOLE = ("view_console", "control_worker")
RUNS = ("view_failedrecord", "reprocess_failedrecord", "view_retryrun")

NOBODY = ()
"""For what is not even offered to who may everything."""


@dataclass(frozen=True)
class Page:
    """An address, and the permissions of which any one opens it. `beside`: what it takes as well, always."""

    name: str
    opens: tuple[str, ...]
    beside: tuple[str, ...] = ()
    about: str = ""
    """The row that its address holds, by the name of the model."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    posts: bool = False
    """Answers nothing but a POST."""
    data: Mapping[str, str] = field(default_factory=dict)
    """What a POST takes to be understood."""

    def address(self, rows: Furnished) -> str:
        args = [rows.of(self.about).pk] if self.about else []
        return reverse(f"admin:{self.name}", args=args or None, kwargs=dict(self.kwargs) or None)

    @property
    def label(self) -> str:
        return " ".join([self.name.removeprefix("consumers_"), *map(str, self.kwargs.values())])


def _stock(model: str, *view: str, delete: tuple[str, ...] = NOBODY) -> Iterator[Page]:
    """The pages that Django makes of a model."""
    opens = view or (f"view_{model}",)
    yield Page(f"consumers_{model}_changelist", opens)
    yield Page(f"consumers_{model}_change", opens, about=model)
    yield Page(f"consumers_{model}_history", opens, about=model)
    yield Page(f"consumers_{model}_add", NOBODY)
    yield Page(f"consumers_{model}_delete", delete, about=model)


PAGES: list[Page] = [
    *_stock("failedrecord", delete=("delete_failedrecord",)),
    Page(
        "consumers_failedrecord_reveal", ("view_sensitive_failedrecord",), (VIEW_RECORDS,), "failedrecord", posts=True
    ),
    Page("consumers_failedrecord_edit", ("edit_failedrecord",), (VIEW_RECORDS,), "failedrecord"),
    Page("consumers_failedrecord_withdraw", ("edit_failedrecord",), (VIEW_RECORDS,), "failedrecord", posts=True),
    *_stock("failuregroup"),
    Page(
        "consumers_failuregroup_act",
        ("assign_failuregroup",),
        ("view_failuregroup",),
        "failuregroup",
        posts=True,
        data={"do": "acknowledge"},
    ),
    *_stock("alert"),
    *_stock("retryrun", *RUNS),
    Page("consumers_retryrun_start", RUNS),
    Page("consumers_retryrun_live", RUNS, about="retryrun"),
    Page("consumers_retryrun_order", ("reprocess_failedrecord",), about="retryrun", posts=True),
    *_stock("partitionledger"),
    *_stock("positionmove"),
    *_stock("offsetgap"),
    *_stock("worker", *CONSOLE),
    Page("consumers_console_live", CONSOLE),
    Page("consumers_console_worker", CONSOLE, about="worker"),
    *(
        Page("consumers_console_order", ("control_worker",), kwargs={"kind": kind})
        for kind in ("pause", "writers", "concurrency", "chunk_size", "drain", "dump")
    ),
    Page("consumers_console_take_back", ("control_worker",), posts=True),
    Page("consumers_console_seek", ("control_worker",)),
    *_stock("control", *CONSOLE),
    *_stock("workerevent", *CONSOLE),
]


def names_of_the_engine() -> set[str]:
    """The names of all addresses under /admin/consumers/ that have one."""
    return {name for route, name in _walk(get_resolver().url_patterns) if route.startswith("admin/consumers/") and name}


def _walk(patterns: Any, before: str = "") -> Iterator[tuple[str, str | None]]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route, pattern.name
