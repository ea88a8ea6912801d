"""The stage behind COPY on connections that change hands or outlive a migration, and writers that meet."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from consumers.core.errors import Again
from consumers.ingest import Given, ingest
from consumers.rows import row_type
from tests.everything import Everything, make_tables

Row = row_type(Everything)


@pytest.fixture(scope="module", autouse=True)
def _tables(django_db_setup: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        make_tables()


@pytest.fixture
def _by_way_of_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.ingest.Optimism.tries", lambda self: False)


@pytest.fixture(autouse=True)
def _hopeful(monkeypatch: pytest.MonkeyPatch) -> None:
    """What earlier tests made of the hope for new rows is forgotten."""
    monkeypatch.setattr("consumers.ingest._optimism", {})


@pytest.fixture
def _emptied(transactional_db: None) -> Iterator[None]:
    yield
    Everything.objects.all().delete()


def write(*keys: int, **values: Any) -> list[bool] | None:
    return ingest(Everything, [Row(key=key, **values) for key in keys], ["key"], path="copy")


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def write_in_savepoint(*keys: int) -> list[bool] | None:
    with transaction.atomic():
        given = Given(savepoint=True)
        return ingest(Everything, [Row(key=key) for key in keys], ["key"], path="copy", given=given)


@pytest.mark.django_db
def test_a_write_in_a_savepoint_of_the_callers_needs_none_of_its_own() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert write_in_savepoint(1, 2) is None
    assert [query["sql"].split()[0] for query in queries] == ["SAVEPOINT", "COPY", "RELEASE"]


@pytest.mark.django_db
def test_what_is_held_back_undoes_the_callers_savepoint_and_goes_by_the_stage_when_done_again() -> None:
    write(2)
    with pytest.raises(Again):
        write_in_savepoint(1, 2, 3)
    assert not Everything.objects.exclude(key=2).exists()
    assert write(1, 2, 3) == [True, False, True]


@pytest.mark.django_db
@pytest.mark.usefixtures("_by_way_of_the_stage")
def test_several_chunks_of_one_transaction_pass_the_stage() -> None:
    assert [write(1, 2), write(2, 3), write(3), write(4)] == [None, [False, True], [False], None]


@pytest.mark.django_db
@pytest.mark.usefixtures("_by_way_of_the_stage")
def test_a_stage_that_went_with_a_savepoint_is_made_again() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        write(1, small=1000)
    assert write(1, 2) is None


@pytest.mark.django_db
@pytest.mark.usefixtures("_by_way_of_the_stage")
def test_a_stage_that_is_gone_is_made_again() -> None:
    write(1)
    drop_stages()
    assert write(1, 2) == [False, True]


def drop_stages() -> None:
    """What DISCARD TEMP does, which no transaction allows."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r'")
        for (name,) in cursor.fetchall():
            cursor.execute(f'DROP TABLE pg_temp."{name}"')


@pytest.mark.django_db
@pytest.mark.usefixtures("_by_way_of_the_stage")
def test_a_stage_older_than_a_migration_refuses_rows_once_and_is_made_again() -> None:
    run("SET CONSTRAINTS ALL IMMEDIATE")  # no table is altered while checks are pending
    write(1)
    run("ALTER TABLE tests_everything ALTER COLUMN word TYPE varchar(40)")

    with pytest.raises(DataError), transaction.atomic():
        write(2, word="x" * 30)
    assert write(1, 2, word="x" * 30) == [False, True]
    with pytest.raises(DataError), transaction.atomic():
        write(3, word="x" * 50)
    assert write(3, word="x" * 40) is None


@pytest.mark.django_db
def test_rows_go_straight_until_one_is_held_back_and_straight_again_later() -> None:
    ways = []
    for keys in ((1, 2), (2, 3), (4,), (5,)):
        with CaptureQueriesContext(connection) as queries:
            write(*keys)
        ways.append([word for query in queries for word in ('COPY "tests', "COPY pg_temp") if word in query["sql"]])
    straight, staged = 'COPY "tests', "COPY pg_temp"
    assert ways == [[straight], [straight, staged], [staged], [straight]]


@pytest.mark.django_db
def test_copy_passes_the_wrappers_that_other_statements_pass() -> None:
    seen = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql.split(" ", 1)[0])
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        write(1)
    assert "COPY" in seen


@pytest.mark.usefixtures("_emptied")
@pytest.mark.parametrize("seed", range(3))
def test_writers_of_the_same_keys_at_the_same_time_write_each_of_them_once(seed: int) -> None:
    dice = random.Random(seed)
    chunks = [[dice.sample(range(400), 150) for _ in range(12)] for _ in range(2)]
    start = threading.Barrier(2)
    new: list[int] = []
    errors: list[BaseException] = []

    def writer(mine: list[list[int]]) -> None:
        try:
            start.wait(10)
            for keys in mine:
                with transaction.atomic():
                    answer = write(*keys)
                new.append(len(keys) if answer is None else sum(answer))
        except BaseException as error:  # noqa: BLE001  (for the test's own thread to raise)
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=writer, args=(mine,)) for mine in chunks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    assert sum(new) == len({key for mine in chunks for keys in mine for key in keys}) == Everything.objects.count()
