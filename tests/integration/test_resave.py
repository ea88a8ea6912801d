"""Saving some columns of many rows in one statement."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.db import DataError, transaction
from django.utils import timezone

from consumers.models import FailedRecord
from consumers.pipeline.keep import FAILED_AGAIN_FIELDS
from consumers.pipeline.resave import resave
from tests.integration.admin_records import failed

pytestmark = pytest.mark.django_db


def test_what_the_instances_hold_is_stored_and_nothing_else() -> None:
    rows = [failed() for _ in range(3)]
    untouched = failed()
    when = timezone.now() + datetime.timedelta(days=1)
    for number, row in enumerate(rows):
        row.reason, row.message = f"reason {number}", "'; DROP TABLE x; --\n\\ {} \u202e"
        row.retry_after = when if number else None
        row.attempts, row.value = number + 5, b"not saved"
    resave(rows, FAILED_AGAIN_FIELDS, "default")
    for row in rows:
        stored = FailedRecord.objects.get(pk=row.pk)
        assert [getattr(stored, name) for name in FAILED_AGAIN_FIELDS] == [
            getattr(row, name) for name in FAILED_AGAIN_FIELDS
        ]
        assert bytes(stored.value or b"") == b'{"order": 1}'
    assert FailedRecord.objects.values().get(pk=untouched.pk)["reason"] == "invalid"


def test_a_text_that_is_too_long_for_its_column_is_refused_as_django_would() -> None:
    row = failed()
    row.reason = "x" * 101
    with pytest.raises(DataError), transaction.atomic():
        resave([row], ["reason"], "default")


def test_many_rows_take_one_statement_and_none_takes_no_statement(django_assert_num_queries: Any) -> None:
    rows = [failed() for _ in range(20)]
    with django_assert_num_queries(1):
        resave(rows, FAILED_AGAIN_FIELDS, "default")
    with django_assert_num_queries(0):
        resave([], FAILED_AGAIN_FIELDS, "default")
