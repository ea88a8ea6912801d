"""What a list of failed records shows, as conditions that a run can freeze: "in the past hour" becomes a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils import timezone

from consumers.admin.digits import is_number
from consumers.admin.filters import FailedSinceFilter
from consumers.admin.search import meaning
from consumers.admin.visible import moment
from consumers.inbox.runs.selection import BadSelection
from consumers.models import FailedRecord

MOST_IDS = 1_000
"""Records that can be chosen one by one."""

Conditions = list[tuple[str, dict[str, Any]]]
"""Each as people read it, and as lookups."""

_NO_CONDITIONS = frozenset({"p", "o", "all", "_changelist_filters", "_popup", "_to_field"})


def conditions(query: Mapping[str, str]) -> Conditions:
    """The conditions of a list's address, or of a link such as a group's (`?consumer=..&fingerprint=..`).

    Raises:
        BadSelection: one of them means nothing here. It is never left out: more would be retried than was seen.
    """
    found: Conditions = []
    for name, value in query.items():
        if name in _NO_CONDITIONS or not value:
            continue
        if name not in _READERS:
            raise BadSelection(f"the list is filtered by {name!r}, which a retry can't be")
        if "\0" in value:
            raise BadSelection(f"{name} holds the character NUL, which no record's can")
        found.append(_READERS[name](value))
    return found


def lookups_of(found: Conditions) -> dict[str, Any]:
    """All conditions together.

    Raises:
        BadSelection: two of them contradict each other.
    """
    together: dict[str, Any] = {}
    for _, lookups in found:
        for name, value in lookups.items():
            if together.setdefault(name, value) != value:
                raise BadSelection(f"no record has two values of {name}")
    return together


def described(found: Conditions) -> str:
    """The conditions, one a line."""
    return "\n".join(text for text, _ in found if text) or "every pending failed record"


def _equal(name: str) -> Callable[[str], tuple[str, dict[str, Any]]]:
    return lambda value: (f"{name} = {value}", {name: value})


def _status(value: str) -> tuple[str, dict[str, Any]]:
    if value != FailedRecord.Status.PENDING:
        raise BadSelection(f"the list shows records that are {value}: only pending ones can be retried")
    return "", {}


def _since(value: str) -> tuple[str, dict[str, Any]]:
    label, span = FailedSinceFilter.spans.get(value, ("", None))
    if span is None:
        raise BadSelection(f"since={value!r} is no span of time")
    begin = timezone.now() - span
    return f"last failed at {moment(begin)} or later ({label})", {"last_failed_at__gte": begin.isoformat()}


def _search(value: str) -> tuple[str, dict[str, Any]]:
    lookups = meaning(value)
    if not value.strip():
        return "", {}
    if "message__icontains" in lookups:
        return f"message contains {value!r}, among records above id {lookups['pk__gt']:,}", lookups
    return ", ".join(f"{name} = {each}" for name, each in lookups.items()), lookups


def _ids(value: str) -> tuple[str, dict[str, Any]]:
    ids = value.split(",")
    if len(ids) > MOST_IDS or not all(map(is_number, ids)):
        raise BadSelection(f"ids must be at most {MOST_IDS:,} numbers with commas between them")
    number = "1 record" if len(ids) == 1 else f"{len(ids):,} records"
    return f"{number} chosen by hand: {', '.join(ids)}", {"pk__in": sorted(map(int, ids))}


def _run(value: str) -> tuple[str, dict[str, Any]]:
    if not is_number(value):
        raise BadSelection("run must be the number of a run")
    return f"failed again in run {value}", {"attempt_set__run": int(value), "attempt_set__succeeded": False}


_READERS: dict[str, Callable[[str], tuple[str, dict[str, Any]]]] = {
    **{name: _equal(name) for name in ("consumer", "reason", "topic", "fingerprint")},
    "status": _status,
    "since": _since,
    "q": _search,
    "ids": _ids,
    "run": _run,
}
