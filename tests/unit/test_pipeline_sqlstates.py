"""What each kind of database error means for the chunk in which it came (PostgreSQL's manual, appendix A)."""

from __future__ import annotations

import psycopg
import pytest
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError
from psycopg.errors import lookup
from psycopg_pool import PoolClosed, PoolTimeout

from consumers.core.errors import TransientError
from consumers.pipeline.isolate import blames_records
from consumers.postgres.errors import Trouble, classify, describe, is_outage


@pytest.mark.parametrize(
    ("sqlstate", "trouble"),
    [
        ("08006", Trouble.OUTAGE),  # connection failure
        ("08003", Trouble.OUTAGE),  # connection does not exist
        ("40001", Trouble.OUTAGE),  # serialization failure
        ("40P01", Trouble.OUTAGE),  # deadlock
        ("53100", Trouble.OUTAGE),  # disk full
        ("53300", Trouble.OUTAGE),  # too many connections
        ("55P03", Trouble.OUTAGE),  # lock not available
        ("57014", Trouble.OUTAGE),  # statement time-out
        ("57P01", Trouble.OUTAGE),  # administrator's shutdown
        ("57P03", Trouble.OUTAGE),  # starting up
        ("58030", Trouble.OUTAGE),  # I/O error
        ("XX000", Trouble.OUTAGE),  # internal error
        ("25006", Trouble.OUTAGE),  # read only: a fail-over
        ("25P03", Trouble.OUTAGE),  # idle in transaction for too long
        ("23502", Trouble.CONSTRAINT),  # not null
        ("23503", Trouble.CONSTRAINT),  # foreign key
        ("23505", Trouble.CONSTRAINT),  # unique
        ("23514", Trouble.CONSTRAINT),  # check
        ("22001", Trouble.DATA),  # too long
        ("22003", Trouble.DATA),  # out of range
        ("22021", Trouble.DATA),  # not in repertoire: NUL
        ("22P02", Trouble.DATA),  # text representation
        ("42P01", Trouble.SCHEMA),  # no such table
        ("42703", Trouble.SCHEMA),  # no such column
        ("42501", Trouble.SCHEMA),  # no right
        ("25P02", Trouble.SCHEMA),  # the transaction is aborted already
    ],
)
def test_an_sqlstate_is_sorted_by_what_must_be_done(sqlstate: str, trouble: Trouble) -> None:
    driver = lookup(sqlstate)("no")
    assert classify(driver) is trouble
    wrapped = DatabaseError("no")
    wrapped.__cause__ = driver
    assert classify(wrapped) is trouble


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (psycopg.OperationalError("server closed the connection unexpectedly"), Trouble.OUTAGE),
        (psycopg.InterfaceError("the connection is closed"), Trouble.OUTAGE),
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), Trouble.DATA),
        (psycopg.ProgrammingError("cannot adapt type"), Trouble.SCHEMA),
        (PoolTimeout("no connection within 10 s"), Trouble.OUTAGE),
        (PoolClosed("closed"), Trouble.OUTAGE),
        (OperationalError("the connection is closed"), Trouble.OUTAGE),
        (InterfaceError("connection already closed"), Trouble.OUTAGE),
        (ValueError("no"), Trouble.OTHER),
        (TransientError(), Trouble.OTHER),
        (TimeoutError(), Trouble.OTHER),
    ],
)
def test_an_error_without_sqlstate_is_sorted_by_its_class(error: Exception, trouble: Trouble) -> None:
    assert classify(error) is trouble


def test_only_errors_of_the_database_are_outages_of_it() -> None:
    assert is_outage(OperationalError())
    assert not is_outage(ConnectionResetError())


def test_an_unrelated_error_raised_while_handling_one_of_the_database_is_not_one() -> None:
    error = ValueError("a bug in the handler")
    error.__context__ = OperationalError("lost")
    assert classify(error) is Trouble.OTHER


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        (IntegrityError(), True),
        (DataError(), True),
        (ValueError("a field refuses its value"), True),
        (OperationalError(), False),
        (lookup("42P01")(), False),
        (lookup("40P01")(), False),
    ],
)
def test_a_record_is_blamed_only_for_what_it_can_cause(error: Exception, blamed: bool) -> None:
    assert blames_records(error) is blamed


def test_an_error_without_a_report_of_the_server_is_described_by_its_first_line() -> None:
    assert describe(OperationalError("connection refused\nis the server running?")) == "connection refused"
