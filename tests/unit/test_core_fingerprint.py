"""Which failures are alike."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.core.fingerprint import fingerprint, normalise


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("unknown_campaign: campaign_id=7", "unknown_campaign: campaign_id=812345"),
        ("no row for 0b6f6a3e-9d0c-4a52-8a5c-0d8f3f0e9f11", "no row for AAAAAAAA-9d0c-4a52-8a5c-0d8f3f0e9f11"),
        ("object at 0x7f00dead is closed", "object at 0x7f00beef is closed"),
        ("code 'abc' is taken", "code 'x y z' is taken"),
        ('code "abc" is taken', 'code "" is taken'),
        ("timed out after 1.5 s at 12:30:01", "timed out after 30 s at 09:00"),
        ("first line\nDETAIL: one", "first line\nDETAIL: other"),
    ],
)
def test_failures_that_differ_in_numbers_ids_and_quoted_values_are_alike(one: str, other: str) -> None:
    assert fingerprint("r", "E", "p", one) == fingerprint("r", "E", "p", other)


@pytest.mark.parametrize(
    "other",
    [
        ("other", "E", "p", "message"),
        ("r", "Other", "p", "message"),
        ("r", "E", "other", "message"),
        ("r", "E", "p", "other message"),
        ("rE", "", "p", "message"),
    ],
)
def test_failures_of_another_reason_class_place_or_text_are_not(other: tuple[str, str, str, str]) -> None:
    assert fingerprint("r", "E", "p", "message") != fingerprint(*other)


@given(st.text(), st.text(), st.text(), st.text())
def test_any_text_has_a_fingerprint_of_sixteen_digits(reason: str, exception: str, place: str, message: str) -> None:
    found = fingerprint(reason, exception, place, message)
    assert len(found) == 16
    assert set(found) <= set(string.hexdigits.lower())


def test_lone_surrogates_have_a_fingerprint_too() -> None:
    assert fingerprint("r", "E", "p", "\ud800") != fingerprint("r", "E", "p", "\udfff")


@given(st.text(max_size=4_000))
def test_a_normalised_message_is_one_short_line(message: str) -> None:
    assert "\n" not in normalise(message)
    assert len(normalise(message)) <= 500
