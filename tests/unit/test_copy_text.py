"""Which models go by COPY, and which field keeps the others from it."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from django.db import models

from ads.models import Click, Impression
from consumers.api import BatchConsumer, IngestManager
from consumers.checks import check_fast_path
from consumers.ingest import off_the_fast_path
from consumers.postgres.columns import unsupported
from consumers.postgres.copytext import compile_rows, escape
from payments.models import Payment
from tests.everything import Everything, Stamped
from tests.orders import Order, OrderEvent


class OddColumn(models.IntegerField):  # type: ignore[type-arg]
    def db_type(self, connection: Any) -> str:
        return "money"


class OddSave(models.IntegerField):  # type: ignore[type-arg]
    def pre_save(self, model_instance: models.Model, add: bool) -> int:
        return 1


class Odd(models.Model):
    """What `model_with` adds a field to."""

    objects = IngestManager()

    class Meta:
        app_label = "tests"
        abstract = True


def model_with(field: models.Field[Any, Any], **meta: Any) -> type[models.Model]:
    options = type("Meta", (), {"app_label": "tests", "managed": False, **meta})
    name = f"Odd{id(field)}"
    return type(name, (Odd,), {"__module__": __name__, "Meta": options, "odd": field})


@pytest.mark.parametrize("model", [Click, Impression, Payment, Everything, Stamped, Order])
def test_plain_models_go_by_copy(model: type[models.Model]) -> None:
    assert unsupported(model) is None


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (models.FileField(), "odd is a FileField"),
        (models.FilePathField(), "odd is a FilePathField"),
        (OddColumn(), "odd is a OddColumn"),
        (OddSave(), "odd is a OddSave"),
        (models.ForeignKey(model_with(OddColumn(primary_key=True)), models.CASCADE), "odd is a ForeignKey"),
    ],
)
def test_a_field_that_may_do_more_is_named(field: Any, why: str) -> None:
    assert unsupported(model_with(field)) == why


def test_a_parent_with_a_table_of_its_own_is_named() -> None:
    class Child(Order):
        class Meta:
            app_label = "tests"
            managed = False

    assert unsupported(Child) == "id belongs to another table (tests.Order)"


def test_a_deferrable_constraint_is_named() -> None:
    late = models.UniqueConstraint(fields=["odd"], name="late", deferrable=models.Deferrable.DEFERRED)
    model = model_with(models.IntegerField(), constraints=[late])
    assert unsupported(model) == "late is a deferrable constraint"


def test_a_key_that_compares_by_rules_of_its_own_is_named() -> None:
    model = model_with(models.CharField(max_length=9, db_collation="und-x-icu"))
    assert off_the_fast_path(model, ("odd",)) == "odd, a part of the key, has a collation of its own"
    assert off_the_fast_path(model, ("id",)) is None


def test_a_check_names_the_consumer_the_model_and_the_field(registered: Any) -> None:
    assert check_fast_path(None) == []

    class OddConsumer(BatchConsumer[OrderEvent, Any]):
        name = "odd"
        topics: ClassVar = ["odd"]
        event = OrderEvent
        model = model_with(models.FileField())
        unique: ClassVar = ["id"]

    registered(OddConsumer)
    [warning] = check_fast_path(None)
    assert warning.id == "consumers.W005"
    assert "which consumer 'odd' writes, cannot be written by COPY: odd is a FileField" in warning.msg


@pytest.mark.parametrize("text", ["", "a", "\t", "\\", "\\\t\n\r", "\\.", "a\\\nb"])
def test_an_escaped_text_has_no_end_of_cell_or_line_and_can_be_read_back(text: str) -> None:
    cell = escape(text)
    assert not set(cell) & set("\t\n\r")
    names = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}
    parts = iter(cell)
    assert "".join(names[next(parts)] if char == "\\" else char for char in parts) == text


def test_only_what_the_line_does_not_know_is_taken_with_care() -> None:
    taken: list[tuple[int, Any]] = []

    def careful(place: int, value: Any) -> str:
        taken.append((place, value))
        return "?"

    number, word = (Order._meta.get_field(name) for name in ("quantity", "note"))
    row = type("Row", (), {"quantity": 1, "note": "plain"})
    odd = type("Row", (), {"quantity": "1", "note": "a\tb"})
    empty = type("Row", (), {"quantity": None, "note": None})
    lines = compile_rows([number, word])([row, odd, empty], careful)  # type: ignore[list-item]
    assert lines == ["1\tplain\n", "?\t?\n", "\\N\t\\N\n"]
    assert taken == [(0, "1"), (1, "a\tb")]
