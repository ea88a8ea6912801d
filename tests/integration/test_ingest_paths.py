"""COPY and INSERT under `bulk_create`: one suite over both, for they must not be told apart."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, connection, models, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from consumers.core.errors import Misconfigured
from consumers.ingest import IngestQuerySet, Newness, ingest, ingest_queryset
from consumers.postgres.cells import compile_cells
from consumers.rows import row_type, to_model
from tests.everything import Everything, Parent, Stamped, make_tables
from tests.integration.ways import WAYS, take
from tests.orders import Order

pytestmark = pytest.mark.django_db

Write = Callable[..., Newness]
AT = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)
EAST = timezone(timedelta(hours=5, minutes=30))


@pytest.fixture(scope="module", autouse=True)
def _tables(django_db_setup: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        make_tables()


@pytest.fixture(params=["insert", *WAYS])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The way to the table."""
    if request.param in WAYS:
        take(request.param, monkeypatch)
    return "insert" if request.param == "insert" else "copy"


@pytest.fixture(params=["instances", "rows"])
def write(request: pytest.FixtureRequest, path: str) -> Write:
    """Writes rows of Everything, given as dicts, by one way and in one form."""
    form = Everything if request.param == "instances" else row_type(Everything)

    def write_them(*rows: dict[str, Any], unique: Sequence[str] = ("key",)) -> Newness:
        return ingest(Everything, [form(**row) for row in rows], unique, path=path)  # type: ignore[arg-type]

    return write_them


def stored(*names: str) -> list[Any]:
    rows = Everything.objects.order_by("key").values_list(*names)
    return [row[0] for row in rows] if len(names) == 1 else list(rows)


ALL_TYPES: dict[str, Any] = {
    "uid": uuid.UUID(int=7),
    "small": -7,
    "positive": 7,
    "big": 2**63 - 1,
    "flag": True,
    "price": Decimal("-1.5000"),
    "ratio": 0.1,
    "word": "word",
    "slug": "a-b",
    "mail": "a@example.org",
    "url": "https://example.org/",
    "day": date(1, 1, 1),
    "at": AT,
    "clock": time(23, 59, 59, 999999),
    "span": timedelta(days=-3, microseconds=1),
    "address": "2001:db8::1",
    "unpacked": "192.0.2.7",
    "data": {"a": [1, None, "\t\\é\n"]},
    "raw": b"\0\\\xff\n",
}


def test_a_value_of_every_type_comes_back_as_it_was_written(write: Write) -> None:
    assert write({"key": 1, **ALL_TYPES}) is None
    row = Everything.objects.values(*ALL_TYPES).get()
    assert row | {"raw": bytes(row["raw"])} == ALL_TYPES


def test_columns_may_be_null_and_defaults_are_the_models(write: Write) -> None:
    assert write({"key": 1}) is None
    row = Everything.objects.values().get()
    assert {name for name, value in row.items() if value is not None} == {"key", "text", "shout"}
    assert row["text"] == ""


HOSTILE = [
    "\t",
    "a\tb\nc\rd",
    "\\",
    "\\N",
    "\\.",
    "\\.\n",
    "'\"`$$;--",
    "\x01\x02\x1f\x7f\x85\u2028\u00a0",
    "\U0001f600 e\u0301 \u202e",
    "",
    " ",
    "NULL",
    "{}",
    "\\x41\\101\\t",
    "%s%%(a)s",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_only_texts(write: Write, text: str) -> None:
    assert write({"key": 1, "text": text, "slug": text}, {"key": 2, "text": "next"}) is None
    assert stored("text", "slug") == [(text, text), ("next", None)]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_only_texts_in_json(write: Write, text: str) -> None:
    assert write({"key": 1, "data": {text: text}}, {"key": 2, "text": "next"}) is None
    assert stored("data", "text") == [({text: text}, ""), (None, "next")]


@pytest.mark.parametrize(
    ("name", "value", "comes_back"),
    [
        ("uid", "00000000-0000-0000-0000-000000000007", uuid.UUID(int=7)),
        ("small", "12", 12),
        ("small", True, 1),
        ("flag", "t", True),
        ("flag", 0, False),
        ("price", 1, Decimal(1)),
        ("price", "1.23456", Decimal("1.2346")),
        ("price", 0.5, Decimal("0.5")),
        ("price", Decimal("1E+3"), Decimal(1000)),
        ("ratio", math.inf, math.inf),
        ("ratio", -math.inf, -math.inf),
        ("ratio", 5, 5.0),
        ("word", 5, "5"),
        ("word", Order.__class__.__name__, "ModelBase"),
        ("word", "x" * 20 + "  ", "x" * 20),
        ("loud", "hey", "hey!"),
        ("loud", "a\tb", "a\tb!"),
        ("day", "2026-01-02", date(2026, 1, 2)),
        ("day", AT, date(2026, 1, 2)),
        ("at", AT.astimezone(EAST), AT),
        ("at", "2026-01-02T03:04:05.6789Z", AT),
        ("at", datetime(9999, 12, 31, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
        ("clock", "01:02", time(1, 2)),
        ("span", "1 00:00:01", timedelta(days=1, seconds=1)),
        ("address", "2001:0DB8:0::1", "2001:db8::1"),
        ("address", "::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ("address", "", None),
        ("unpacked", "::ffff:192.0.2.7", "192.0.2.7"),
        ("data", "text", "text"),
        ("data", 1.5, 1.5),
        ("data", (1, 2), [1, 2]),
        ("raw", bytearray(b"ab"), b"ab"),
        ("raw", memoryview(b"ab"), b"ab"),
    ],
)
def test_values_of_other_types_become_what_the_field_makes_of_them(
    write: Write, name: str, value: Any, comes_back: Any
) -> None:
    assert write({"key": 1, name: value}, {"key": 2}) is None
    found = getattr(Everything.objects.get(key=1), name)
    assert (bytes(found) if name == "raw" else found) == comes_back


def test_not_a_number_is_a_float(write: Write) -> None:
    write({"key": 1, "ratio": math.nan})
    assert math.isnan(Everything.objects.get().ratio or 0)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("key", None, IntegrityError),
        ("key", 2**63, DataError),
        ("uid", "no uuid", ValidationError),
        ("small", 2**15, DataError),
        ("small", 1000, IntegrityError),
        pytest.param("small", 10**5000, ValueError, id="small-huge"),
        ("small", "seven", ValueError),
        ("small", [], TypeError),
        ("positive", -1, IntegrityError),
        ("big", 2**63, DataError),
        ("flag", "perhaps", ValidationError),
        ("price", Decimal("123456789.5"), DataError),
        ("price", Decimal("NaN"), ValidationError),
        ("price", Decimal("Infinity"), ValidationError),
        ("price", "cheap", ValidationError),
        ("ratio", "often", ValueError),
        ("word", "x" * 21, DataError),
        ("word", "a\0b", DataError),
        ("text", None, IntegrityError),
        ("text", "\ud800", UnicodeEncodeError),
        ("text", "\0", DataError),
        ("day", "yesterday", ValidationError),
        ("at", "now", ValidationError),
        ("at", 1_700_000_000, TypeError),
        ("clock", "noon", ValidationError),
        ("span", "long", DataError),
        ("address", "192.0.2", ValueError),
        ("address", "192.0.2.07", ValueError),
        ("address", "192.0.2.7\n", ValueError),
        ("address", "example.org", ValueError),
        ("data", {"a": "\0"}, DataError),
        ("data", {"a": math.nan}, DataError),
        ("data", {1, 2}, TypeError),
        ("raw", "text", TypeError),
        ("parent_id", "nobody", IntegrityError),
    ],
)
def test_what_one_way_refuses_the_other_refuses_with_the_same_error(
    write: Write, name: str, value: Any, error: type[Exception]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(error) as raised, transaction.atomic():
        write({"key": 1}, {"key": 2, name: value}, {"key": 3})
    assert raised.type is error
    assert stored("key") == []


def test_a_time_without_a_zone_warns_as_django_does(write: Write) -> None:
    with pytest.raises(RuntimeWarning, match="received a naive datetime"):
        write({"key": 1, "at": datetime(2026, 1, 2)})  # noqa: DTZ001


def test_rows_whose_keys_are_in_the_table_are_held_back(write: Write) -> None:
    Everything.objects.create(key=2, text="old")

    assert write(*({"key": key, "text": "new"} for key in (3, 2, 1))) == [True, False, True]
    assert stored("key", "text") == [(1, "new"), (2, "old"), (3, "new")]


def test_of_several_rows_with_one_key_the_first_is_written(write: Write) -> None:
    rows = [{"key": key, "text": text} for key, text in [(2, "z"), (10, "b"), (2, "a"), (1, "c"), (2, "b")]]

    assert write(*rows) == [True, True, False, True, False]
    assert stored("key", "text") == [(1, "c"), (2, "z"), (10, "b")]


def test_all_rows_may_be_held_back(write: Write) -> None:
    write({"key": 1}, {"key": 2})
    assert write({"key": 1}, {"key": 2}) == [False, False]


def test_no_rows_are_no_work(path: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert ingest(Everything, [], ["key"], path=path) is None  # type: ignore[arg-type]
    assert not queries.captured_queries


def test_another_unique_constraint_holds_rows_back_too(write: Write) -> None:
    Everything.objects.create(key=9, uid=uuid.UUID(int=9))

    rows = [{"key": 1, "uid": uuid.UUID(int=1)}, {"key": 2, "uid": uuid.UUID(int=9)}]
    assert write(*rows) == [True, False]
    assert stored("key") == [1, 9]


def test_the_key_may_be_another_column_than_the_primary_one(write: Write) -> None:
    Everything.objects.create(key=9, uid=uuid.UUID(int=9))

    rows = [{"key": 2, "uid": uuid.UUID(int=9)}, {"key": 1, "uid": uuid.UUID(int=1)}]
    assert write(*rows, unique=["uid"]) == [False, True]


def test_a_key_that_is_null_conflicts_with_nothing(write: Write) -> None:
    Everything.objects.create(key=9)
    write({"key": 1, "uid": uuid.UUID(int=1)}, {"key": 2, "uid": None}, unique=["uid"])
    assert write({"key": 3, "uid": uuid.UUID(int=1)}, {"key": 4, "uid": None}, unique=["uid"]) == [False, True]


def test_several_keys_that_are_null_in_one_call_are_all_new(write: Write) -> None:
    assert write({"key": 1, "uid": None}, {"key": 2, "uid": None}, unique=["uid"]) is None
    assert stored("key") == [1, 2]


def test_a_foreign_key_is_written_by_the_related_object_or_by_its_id(path: str) -> None:
    parent = Parent(id="p")
    rows = [Everything(key=1, parent=parent), Everything(key=2, parent_id="p")]
    parent.save()

    ingest(Everything, rows, ["key"], path=path)  # type: ignore[arg-type]
    assert stored("parent_id") == ["p", "p"]


def test_a_related_object_that_was_not_saved_is_refused(path: str) -> None:
    rows = [Everything(key=1, parent=Parent())]
    rows[0].parent.pk = None
    with pytest.raises(ValueError, match="unsaved related object 'parent'"):
        ingest(Everything, rows, ["key"], path=path)  # type: ignore[arg-type]


def test_instances_tell_after_bulk_create_whether_they_were_new(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IngestQuerySet, "path", path)
    Everything.objects.create(key=2)
    rows = [Everything(key=key) for key in (1, 2, 3, 3)]

    assert Everything.objects.bulk_create(rows, ignore_conflicts=True, unique_fields=["key"]) == rows
    assert [(row._state.adding, row._state.db) for row in rows] == [
        (False, "default"),
        (True, None),
        (False, "default"),
        (True, None),
    ]


def test_batches_of_bulk_create_are_written_one_after_the_other(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IngestQuerySet, "path", path)
    rows = [Everything(key=key // 2) for key in range(10)]
    Everything.objects.bulk_create(rows, batch_size=3, ignore_conflicts=True, unique_fields=["key"])
    assert [not row._state.adding for row in rows] == [True, False] * 5


@pytest.mark.parametrize("form", [Stamped, row_type(Stamped)])
def test_what_django_and_the_database_fill_in_is_filled_in(path: str, form: Callable[..., Any]) -> None:
    rows = [form(amount=Decimal(n), at=AT) for n in range(3)]
    assert ingest(Stamped, rows, ["amount", "at"], path=path) is None  # type: ignore[arg-type]

    found = list(Stamped.objects.order_by("amount"))
    assert [row.state for row in found] == ["new"] * 3
    assert [row.fee for row in found] == [Decimal("0.5")] * 3
    assert all(abs(row.made - row.changed) < timedelta(seconds=1) for row in found)
    assert [row.token for row in found] == [row.token for row in rows]
    assert all(row.pk for row in found)
    assert [row.tags for row in found] == [[]] * 3


def test_keys_of_two_columns_that_are_written_in_several_ways_are_told_apart_by_their_values(path: str) -> None:
    keys = [(Decimal("1.00"), AT.astimezone(EAST)), (Decimal("1.0"), AT), (Decimal(1), AT), (Decimal(2), AT)]
    Stamped.objects.create(amount=2, at=AT)
    rows = [Stamped(amount=amount, at=at, fee=number) for number, (amount, at) in enumerate(keys)]

    assert ingest(Stamped, rows, ["amount", "at"], path=path) == [True, False, False, False]  # type: ignore[arg-type]
    assert Stamped.objects.get(amount=1).fee == 0


@pytest.mark.parametrize("unplain", [Now(), models.Value("v")])
def test_expressions_are_left_to_insert(path: str, unplain: Any) -> None:
    name = "at" if isinstance(unplain, Now) else "text"
    assert ingest(Everything, [Everything(key=1), Everything(key=2, **{name: unplain})], ["key"], path=path) is None  # type: ignore[arg-type]
    assert getattr(Everything.objects.get(key=2), name)


def test_a_default_of_the_database_may_be_wanted_for_some_rows_only(path: str) -> None:
    rows = [Stamped(amount=1, at=AT), Stamped(amount=2, at=AT, state="old")]
    ingest(Stamped, rows, ["amount", "at"], path=path)  # type: ignore[arg-type]
    assert list(Stamped.objects.order_by("amount").values_list("state", flat=True)) == ["new", "old"]


def test_rows_that_a_trigger_keeps_out_are_not_new(write: Write) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION pg_temp.no_twos() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN RETURN CASE WHEN NEW.key = 2 THEN NULL ELSE NEW END; END'"
        )
        cursor.execute(
            "CREATE TRIGGER no_twos BEFORE INSERT ON tests_everything FOR EACH ROW EXECUTE FUNCTION pg_temp.no_twos()"
        )
    assert write({"key": 1}, {"key": 2}) == [True, False]
    assert stored("key") == [1]


def test_a_row_type_gives_the_instance_that_it_stands_for() -> None:
    row = row_type(Everything)(key=1, text="t")
    instance = to_model(row)
    assert isinstance(instance, Everything)
    assert (instance.key, instance.text, instance.word, instance._state.adding) == (1, "t", None, True)


@pytest.mark.parametrize("names", [["word", "key"], ["key"]])
def test_the_cells_of_instances_are_what_their_attributes_give(names: list[str]) -> None:
    Everything.objects.create(key=1, word="w")
    cells = compile_cells([Everything._meta.get_field(name) for name in names])
    whole, deferred = Everything.objects.get(), Everything.objects.defer("word").get()
    other = row_type(Everything)(key=2, word="v")
    expected = [tuple(getattr(row, name) for name in names) for row in (whole, deferred, other)]
    assert cells([whole]) == expected[:1]
    assert cells([whole, deferred, other]) == expected
    assert "word" in Everything.objects.defer("word").get().get_deferred_fields()
    assert cells([Everything.objects.defer("word").get()]) == expected[1:2]


def test_copy_is_taken_under_the_manager_and_insert_elsewhere() -> None:
    def statement(model: type[models.Model], row: models.Model, key: str) -> str:
        with CaptureQueriesContext(connection) as queries:
            ingest_queryset(model).bulk_create([row], ignore_conflicts=True, unique_fields=[key])
        return " ".join(query["sql"] for query in queries)

    assert "COPY " in statement(Everything, Everything(key=1), "key")
    assert 'INSERT INTO "tests_order"' in statement(Order, Order(number="1"), "number")


def test_copy_that_is_demanded_where_it_cannot_be_names_the_field() -> None:
    class Picture(models.Model):
        image = models.FileField()

        class Meta:
            app_label = "tests"
            managed = False

        def __str__(self) -> str:
            return str(self.pk)

    with pytest.raises(Misconfigured, match=r"tests\.Picture cannot be written by COPY: image is a FileField"):
        ingest(Picture, [Picture()], ["id"], path="copy")
