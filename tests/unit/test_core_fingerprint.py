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
        ("cannot connect to 10.1.2.3:5432", "cannot connect to 192.168.77.1:15433"),
        ("cannot connect to [2001:db8::1]:443", "cannot connect to [fe80::7:1]:80"),
        ("late since 2026-03-01T12:00:00.123Z", "late since 2025-12-31T01:02:03Z"),
        ("no user ann@example.org", "no user bob.b+tag@mail.example.com"),
        ("no order 01HZX3T9K2M4N6P8QRSTVWXYZ0", "no order 01J0ABCDEFGHJKMNPQRSTVWXY7"),
        ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "commit 1234567890abcdef1234567890abcdef12345678"),
        ("JSON is malformed: invalid character (byte 12)", "JSON is malformed: invalid character (byte 1048)"),
        ("Expecting value: line 1 column 23 (char 22)", "Expecting value: line 40 column 2 (char 7)"),
        ("Expected `int`, got `str` - at `$.items[3].price`", "Expected `int`, got `str` - at `$.items[12].price`"),
        ("duplicate key: Key (code)=(spring sale)", "duplicate key: Key (code)=(autumn)"),
        ("got b'abc' instead", "got b'' instead"),
        ("first line\nDETAIL: one", "first line\nDETAIL: other"),
    ],
)
def test_failures_that_differ_in_numbers_ids_and_quoted_values_are_alike(one: str, other: str) -> None:
    assert fingerprint("r", "E", "p", one) == fingerprint("r", "E", "p", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Expected `int`, got `str` - at `$.price`", "Expected `int`, got `str` - at `$.amount`"),
        ("Expected `int`, got `str`", "Expected `int`, got `null`"),
        ("can't parse the amount, isn't a number", "can't parse the campaign, isn't a number"),
        ("Key (code)=(7) is not present", "Key (name)=(7) is not present"),
        ("null value in column total", "null value in column price"),
    ],
)
def test_failures_about_another_thing_are_not_alike(one: str, other: str) -> None:
    assert fingerprint("r", "E", "p", one) != fingerprint("r", "E", "p", other)


def test_a_normalised_message_stays_as_it_is() -> None:
    message = "Key (code)=(x) of 10.0.0.1:80 at 2026-03-01T12:00:00Z, user a@b.example, id 01HZX3T9K2M4N6P8QRSTVWXYZ0"
    assert normalise(normalise(message)) == normalise(message) == "Key (code)=# of # at #, user #, id #"


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
