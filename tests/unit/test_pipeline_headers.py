"""Headers survive their column: names are text, values any bytes or none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumers.headers import pack_headers, unpack_headers

names = st.text(st.characters(codec="utf-8"))


@given(st.lists(st.tuples(names, st.none() | st.binary())).map(tuple))
def test_headers_come_back_as_they_were(headers: tuple[tuple[str, bytes | None], ...]) -> None:
    assert unpack_headers(pack_headers(headers)) == headers


def test_no_headers_take_no_room() -> None:
    assert pack_headers(()) == b""
