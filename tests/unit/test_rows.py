"""Cheap rows, and instances made cheaply: the same as the model's own."""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import DJANGO_VERSION_PICKLE_KEY, models
from django.db.models.base import model_unpickle
from django.db.models.expressions import DatabaseDefault
from django.db.models.signals import post_init, pre_init

from consumers.instances import IngestModel
from consumers.rows import is_row, row_type, to_model
from tests.everything import Everything, Parent, Stamped

AT = datetime(2026, 1, 2, tzinfo=UTC)


class Fields(models.Model):
    """Fields with every kind of default."""

    token = models.UUIDField(primary_key=True)
    word = models.CharField(max_length=9)
    fee = models.DecimalField(max_digits=6, decimal_places=2, default=Decimal("0.5"))
    made = models.UUIDField(default=uuid.uuid4)
    tags = models.JSONField(default=list)
    state = models.CharField(max_length=9, db_default="new")
    both = models.CharField(max_length=9, default="ours", db_default="theirs")
    raw = models.BinaryField()
    number = models.IntegerField(null=True)
    day = models.DateField()
    parent = models.ForeignKey(Parent, on_delete=models.PROTECT, null=True, related_name="+")
    twice = models.GeneratedField(
        expression=models.F("number") * 2, output_field=models.IntegerField(), db_persist=True
    )

    class Meta:
        app_label = "tests"
        abstract = True

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def shouted(self) -> str:
        return self.word.upper()

    @shouted.setter
    def shouted(self, word: str) -> None:
        self.word = word.lower()


class Slow(Fields):
    class Meta(Fields.Meta):
        abstract = False


class Fast(IngestModel, Fields):
    class Meta(Fields.Meta):
        abstract = False


GIVEN: dict[str, Any] = {"token": uuid.UUID(int=1), "word": "w", "made": uuid.UUID(int=2)}
CALLS: list[dict[str, Any]] = [
    GIVEN,
    GIVEN | {"number": 1, "parent_id": "p", "day": None, "raw": b"1", "tags": [1], "state": "s", "both": "b"},
    GIVEN | {"parent": Parent(id="p")},
    GIVEN | {"parent": None},
    GIVEN | {"shouted": "AH"},
    GIVEN | {"word": models.DEFERRED},
    GIVEN | {"pk": uuid.UUID(int=3)},
    {"made": None},
]


def contents(instance: models.Model) -> dict[str, Any]:
    """All that an instance holds, in its order, with what has no equality of its own taken apart."""
    held = dict(vars(instance))
    state = held.pop("_state")
    own = {name: DatabaseDefault if isinstance(value, DatabaseDefault) else value for name, value in held.items()}
    return {"fields": list(own.items()), "adding": state.adding, "db": state.db, "cache": state.fields_cache}


@pytest.mark.parametrize("call", CALLS)
def test_an_instance_made_cheaply_is_the_one_that_django_makes(call: dict[str, Any]) -> None:
    assert contents(Fast(**call)) == contents(Slow(**call))
    assert Fast(**call).get_deferred_fields() == Slow(**call).get_deferred_fields()


def test_defaults_are_made_for_each_instance() -> None:
    one, other = Fast(**GIVEN | {"made": None}), Fast(token=uuid.UUID(int=1))
    assert one.tags is not other.tags
    assert other.made != Fast(token=uuid.UUID(int=1)).made


@pytest.mark.parametrize("call", [{"wrong": 1}, {"word": "w", "wrong": 1, "other": 2}])
def test_a_keyword_that_is_no_field_is_the_error_that_django_raises(call: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as ours:
        Fast(**call)
    with pytest.raises(TypeError) as djangos:
        Slow(**call)
    assert str(ours.value) == str(djangos.value).replace("Slow", "Fast")


def test_positional_values_are_taken_as_django_takes_them() -> None:
    assert contents(Fast(uuid.UUID(int=1), "w", made=None)) == contents(Slow(uuid.UUID(int=1), "w", made=None))


def test_rows_of_the_database_are_not_new_and_keep_their_deferred_fields() -> None:
    instance = Fast.from_db("default", ["token", "word"], [uuid.UUID(int=1), "w"])
    assert (instance._state.adding, instance._state.db) == (False, "default")
    assert (
        instance.get_deferred_fields()
        == Slow.from_db("default", ["token", "word"], [uuid.UUID(int=1), "w"]).get_deferred_fields()
    )


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What receivers of the signals around a new Fast were told."""
    told: list[str] = []

    def before(kwargs: dict[str, Any], **rest: Any) -> None:
        told.append(f"before {sorted(kwargs)}")

    def after(instance: Fast, **rest: Any) -> None:
        told.append(f"after {instance.word}")

    pre_init.connect(before, sender=Fast)
    post_init.connect(after, sender=Fast)
    yield told
    pre_init.disconnect(before, sender=Fast)
    post_init.disconnect(after, sender=Fast)


def test_receivers_of_the_signals_are_told(heard: list[str]) -> None:
    Fast(token=uuid.UUID(int=1), word="w")
    assert heard == ["before ['token', 'word']", "after w"]


def test_what_was_pickled_or_copied_comes_back_the_same() -> None:
    instance = Fast(**GIVEN, state="s")
    state: Any = instance.__reduce__()[2]
    back: Any = model_unpickle(Fast)  # by its name only models of installed apps are found
    back.__setstate__(pickle.loads(pickle.dumps(state)))  # noqa: S301  (our own)
    vars(back).pop(DJANGO_VERSION_PICKLE_KEY)
    assert contents(back) == contents(instance)


def test_an_abstract_model_makes_no_instances() -> None:
    with pytest.raises(TypeError, match="Abstract models cannot be instantiated"):
        IngestModel()  # type: ignore[abstract]


def test_the_base_leaves_no_trace_in_the_model() -> None:
    assert [f.name for f in Fast._meta.fields] == [f.name for f in Slow._meta.fields]
    assert (Fast._meta.base_manager_name, Fast._meta.default_manager_name) == (None, None)
    assert type(Fast._base_manager) is models.Manager


def test_a_class_with_a_setter_of_its_own_is_filled_by_it() -> None:
    class Loud(IngestModel):
        word = models.CharField(max_length=9)

        class Meta:
            app_label = "tests"
            managed = False

        def __str__(self) -> str:
            return self.word

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value.upper() if name == "word" else value)

    assert Loud(word="w").word == "W"


def test_a_row_has_the_models_columns_and_defaults() -> None:
    form = row_type(Slow)
    row = form(token=uuid.UUID(int=1), word="w", raw=b"", day=None)

    assert is_row(row)
    assert not is_row(Slow())
    assert set(form.__struct_fields__) == {f.attname for f in Slow._meta.concrete_fields} - {"twice"}
    assert (row.fee, row.tags, row.both, row.number, row.parent_id) == (Decimal("0.5"), [], "ours", None, None)
    assert row.tags is not form(token=None, word="w", raw=b"", day=None).tags
    assert isinstance(row.state, DatabaseDefault)
    assert row_type(Slow) is form


@pytest.mark.parametrize("missing", ["token", "word", "raw", "day"])
def test_a_column_without_a_default_must_be_given(missing: str) -> None:
    given = {"token": None, "word": "w", "raw": b"", "day": None}
    del given[missing]
    with pytest.raises(TypeError, match=f"Missing required argument '{missing}'"):
        row_type(Slow)(**given)


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(TypeError, match="Unexpected keyword argument 'wrong'"):
        row_type(Everything)(key=1, wrong=2)


def test_what_is_filled_in_later_need_not_be_given() -> None:
    row = row_type(Stamped)(amount=1, at=AT)
    assert (row.id, row.made, row.changed) == (None, None, None)


def test_a_row_becomes_the_instance_that_its_values_make() -> None:
    row = row_type(Slow)(**GIVEN, raw=b"", day=None, tags=[1])
    assert contents(to_model(row)) == contents(Slow(**GIVEN, raw=b"", day=None, tags=[1]))
