"""Which database consumers work on."""

from __future__ import annotations

from typing import Any

from consumers.checks import check_concurrency, check_database


def test_consumers_on_the_admins_database_are_as_they_should_be() -> None:
    assert check_database(None) == []


def test_consumers_on_a_database_that_the_admin_does_not_show_are_warned_of(settings: Any) -> None:
    settings.CONSUMERS = {**settings.CONSUMERS, "database": "events"}
    [warning] = check_database(None)
    assert warning.id == "consumers.W006"
    assert "'events'" in warning.msg


def test_a_database_that_there_is_not_is_named_with_those_that_there_are(settings: Any) -> None:
    settings.CONSUMERS = {**settings.CONSUMERS, "database": "nowhere"}
    [error] = check_concurrency(None)
    assert "'nowhere'; settings.DATABASES has ['default']" in error.msg
