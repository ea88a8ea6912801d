"""From an error to what is kept of it."""

from __future__ import annotations

import pytest
from django.db import IntegrityError
from hypothesis import given
from hypothesis import strategies as st
from psycopg.errors import lookup

from consumers.core.errors import RecordError
from consumers.core.outcomes import Failure
from consumers.core.records import Record, TopicPartition
from consumers.pipeline.failures import failure

RECORD = Record(TopicPartition("t", 0), 0, b"v")


def raised(error: BaseException) -> Failure:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001
        return failure(RECORD, caught)


def wrapped(sqlstate: str) -> IntegrityError:
    error = IntegrityError("key (email)=(private@example.org) exists")
    error.__cause__ = lookup(sqlstate)("key (email)=(private@example.org) exists")
    return error


@pytest.mark.parametrize(
    ("error", "reason", "exception"),
    [
        (RecordError("unknown_campaign", campaign_id=7), "unknown_campaign", ""),
        (ValueError("no"), "handler_error", "ValueError"),
        (lookup("23505")("no"), "constraint", "UniqueViolation"),
        (lookup("22003")("no"), "data", "NumericValueOutOfRange"),
        (wrapped("23505"), "constraint", "IntegrityError"),
    ],
)
def test_the_reason_is_the_errors_own_the_databases_verdict_or_handler_error(
    error: Exception, reason: str, exception: str
) -> None:
    verdict = raised(error)
    assert (verdict.reason, verdict.exception) == (reason, exception)


def test_a_handlers_error_brings_its_traceback() -> None:
    assert "test_pipeline_failures.py" in raised(ValueError("no")).traceback


def test_a_refusal_needs_no_traceback() -> None:
    assert raised(RecordError("unknown_campaign")).traceback == ""


def test_equal_errors_from_the_same_place_have_equal_fingerprints() -> None:
    assert raised(ValueError("row 1")).fingerprint == raised(ValueError("row 2")).fingerprint
    assert raised(ValueError("row 1")).fingerprint != raised(KeyError("row 1")).fingerprint


@given(st.text(st.characters()))
def test_any_message_becomes_text_that_a_column_can_hold(message: str) -> None:
    kept = raised(ValueError(message)).message
    assert "\x00" not in kept
    kept.encode("utf-8")


def test_an_endless_message_is_cut_in_the_middle() -> None:
    kept = raised(ValueError("start " + "x" * 1_000_000 + " end")).message
    assert len(kept) < 5_000
    assert kept.startswith("start ")
    assert kept.endswith(" end")


def test_an_error_that_cannot_be_shown_is_kept_all_the_same() -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    assert raised(Unspeakable()).exception.endswith("Unspeakable")
