"""Which part of a value a failure's message points at."""

from __future__ import annotations

import pytest

from consumers.admin.editing.compose import NotJson, compose
from consumers.admin.editing.fields import FREE, LOCKED, EditField
from consumers.admin.jsontext import Json
from consumers.admin.offending import Offence, offence_in

NAMES = {"login": "userName", "age": "age"}


@pytest.mark.parametrize(
    ("message", "offence"),
    [
        ("Expected `int`, got `str` - at `$.age`", Offence(("age",))),
        ("Expected `int`, got `str` - at `$.items[12].price`", Offence(("items", 12, "price"))),
        ("Expected `int`, got `str` - at `$.prices[...]`", Offence(("prices",))),
        ("Object missing required field `age`", Offence(("age",), is_missing=True)),
        ("Object missing required field `x` - at `$.items[0]`", Offence(("items", 0, "x"), is_missing=True)),
        ("`login` is taken", Offence(("userName",))),
        ("`other` is taken", None),
        ("no_such_user: login='ada', x=1", Offence(("userName",))),
        ("Expected `object`, got `array`", None),
        ("JSON is malformed: invalid character (byte 3)", None),
        ("", None),
    ],
)
def test_messages_point_at_fields(message: str, offence: Offence | None) -> None:
    assert offence_in(message, NAMES) == offence


@pytest.mark.parametrize(
    ("path", "marked"),
    [
        (("a",), '"a": 1'),
        (("b", 1), '{\n      "x": 2\n    }'),
        (("b", 1, "x"), '"x": 2'),
        (("secret",), '"secret": "[redacted]"'),
        (("nowhere",), None),
        (("a", "b"), None),
        ((), None),
    ],
)
def test_a_part_of_a_document_is_found_in_its_layout(path: tuple[str | int, ...], marked: str | None) -> None:
    text, _, mark = Json('{"a": 1, "b": [{"x": 1}, {"x": 2}], "secret": 7}').pretty({"secret"}, 1000, path)
    assert (text[slice(*mark)] if mark else None) == marked


def test_a_mark_never_leaves_what_is_shown() -> None:
    text, is_complete, mark = Json('{"a": "' + "x" * 100 + '"}').pretty((), 50, ("a",))
    assert (len(text), is_complete, mark) == (50, False, (4, 50))


FIELDS = [
    EditField("key", LOCKED),
    EditField("n", FREE),
    EditField("hidden", FREE, is_hidden=True),
    EditField("new", FREE),
]


def test_an_edited_value_keeps_its_order_its_digits_and_what_is_locked_or_hidden() -> None:
    base = Json('{"n": 1.50, "key": "k", "hidden": "h", "n2": [1.10]}')
    fields = [*FIELDS, EditField("n2", FREE)]
    typed = {"key": '"other"', "n": "2.50", "hidden": "", "new": ' {"a" : 1e5} ', "n2": "[1.10]"}
    assert compose(base, fields, typed) == (b'{"n": 2.50, "key": "k", "hidden": "h", "n2": [1.10], "new": {"a": 1e5}}')


def test_text_that_is_no_json_is_refused_for_its_field() -> None:
    with pytest.raises(NotJson, match="a text needs double quotes") as refused:
        compose(Json("{}"), FIELDS, {"n": "hello"})
    assert refused.value.field == "n"
