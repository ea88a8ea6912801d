"""Delays and retries: laws of the backoff, and which errors are tried again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.core.errors import FatalError, Misconfigured, RecordError, TransientError
from consumers.core.policies import Backoff, BatchPolicy, RetryPolicy

backoffs = st.builds(
    Backoff,
    first=st.floats(min_value=0.001, max_value=5),
    factor=st.floats(min_value=1, max_value=4),
    cap=st.floats(min_value=0.01, max_value=60),
    jitter=st.floats(min_value=0, max_value=1),
)


@given(backoffs, st.integers(1, 10_000), st.integers())
def test_a_delay_is_never_negative_nor_above_the_cap(backoff: Backoff, attempt: int, seed: int) -> None:
    assert 0 <= backoff.delay(attempt, random.Random(seed)) <= backoff.cap


@given(backoffs, st.integers(1, 100), st.integers())
def test_a_delay_lies_within_the_jitter_below_the_nominal_one(backoff: Backoff, attempt: int, seed: int) -> None:
    nominal = min(backoff.cap, backoff.first * backoff.factor ** min(attempt - 1, 64))
    assert nominal * (1 - backoff.jitter) * 0.999 <= backoff.delay(attempt, random.Random(seed)) <= nominal


@given(backoffs, st.integers(1, 100))
def test_the_nominal_delay_never_shrinks(backoff: Backoff, attempt: int) -> None:
    steady = Backoff(first=backoff.first, factor=backoff.factor, cap=backoff.cap, jitter=0)
    assert steady.delay(attempt) <= steady.delay(attempt + 1)


def test_jitter_stays_jitter_at_the_cap() -> None:
    backoff, rng = Backoff(cap=10, jitter=0.5), random.Random(1)
    delays = {round(backoff.delay(50, rng), 3) for _ in range(50)}
    assert len(delays) > 25


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (TransientError(), True),
        (TimeoutError(), True),
        (ConnectionResetError(), True),
        (ConnectionRefusedError(), True),
        (ValueError(), False),
        (OSError(), False),
        (RecordError("unknown_campaign"), False),
        (FatalError(), False),
    ],
)
def test_by_default_only_passing_trouble_is_tried_again(error: Exception, transient: bool) -> None:
    assert RetryPolicy().is_transient(error) is transient


def test_a_consumer_may_name_its_own_passing_errors() -> None:
    assert RetryPolicy(transient=(LookupError,)).is_transient(KeyError("503"))


def test_no_attempt_at_all_is_refused() -> None:
    with pytest.raises(Misconfigured, match="attempts must be at least 1"):
        RetryPolicy(attempts=0)


def test_a_negative_wait_is_refused() -> None:
    with pytest.raises(Misconfigured, match="max_wait"):
        BatchPolicy(max_wait=-1)
