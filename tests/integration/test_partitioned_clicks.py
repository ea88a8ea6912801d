"""`manage.py partition_clicks`: the table of clicks by months. The consumer, the admin and migrations never notice."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import msgspec
import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.test import Client
from django.utils import timezone
from psycopg.errors import QueryCanceled

from ads.consumers import ClickConsumer
from ads.models import Campaign, Click
from ads.partitioning import convert
from ads.partitioning.catalog import DEFAULT, TABLE, Catalogue, Facts
from ads.partitioning.months import Month, months
from ads.partitioning.steps import run
from consumers.ingest import ingest
from consumers.rows import row_type
from demo.generate import Clicks
from tests.integration.engine import consume, counts

CATALOGUE = Catalogue("default")
NOW = Month.of(timezone.now())
BOUNDARY = NOW.plus(2)
FIRST = convert.first_partition(BOUNDARY)
AT = NOW.start + timedelta(hours=1)


@pytest.fixture(autouse=True)
def plain(transactional_db: None, campaign: Campaign) -> Iterator[Facts]:
    """What the plain table consists of; it is plain again after the test."""
    yield CATALOGUE.facts()
    Click.objects.all().delete()
    partition("--undo")


@pytest.fixture
def partitioned(plain: Facts) -> None:
    partition()


def partition(*arguments: str) -> str:
    """Run the command; what it says."""
    out = StringIO()
    call_command("partition_clicks", *arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> str:
    """Run the command, which is to fail; what it says."""
    with pytest.raises(CommandError) as raised:
        partition(*arguments)
    return str(raised.value)


def sql(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def click(campaign: Campaign, at: datetime = AT, key: uuid.UUID | None = None, form: Callable[..., Any] = Click) -> Any:
    return form(
        event_id=key or uuid.uuid4(),
        campaign_id=campaign.pk,
        advertiser_id=campaign.advertiser_id,
        occurred_at=at,
        ip=None,
        user_agent="",
        url="https://shop.example/",
        impression_id=None,
        user_id="",
        cost=campaign.bid,
        billable=True,
    )


def held() -> dict[str, int]:
    """By partition, how many rows it holds; without those that hold none."""
    found = CATALOGUE.rows(f"SELECT tableoid::regclass::text, count(*) FROM {TABLE} GROUP BY 1")
    return dict(found)  # type: ignore[arg-type]


def names_and_definitions(facts: Facts) -> tuple[Any, ...]:
    """All that a migration may refer to; a partitioned table's indexes are made ONLY on it."""
    return (
        sorted(facts.columns),
        [(each.name, each.definition.replace(" ON ONLY ", " ON ")) for each in facts.indexes if not each.is_primary],
        facts.constraints,
        [each.name for each in facts.indexes if each.is_primary],
    )


@contextmanager
def another_session() -> Iterator[psycopg.Connection[Any]]:
    """A transaction of somebody else's in the same database."""
    parameters = {name: value for name, value in connection.get_connection_params().items() if name != "pool"}
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    with psycopg.connect(**parameters) as other:
        yield other


# ---- the conversion -----------------------------------------------------------------------------------------------


def test_the_table_keeps_its_rows_and_everything_that_has_a_name(plain: Facts, campaign: Campaign) -> None:
    rows = Click.objects.bulk_create([click(campaign, AT - timedelta(days=30 * n)) for n in range(20)])

    said = partition()

    assert f"all rows are in {FIRST}" in said
    assert held() == {FIRST: 20}
    assert {row.pk for row in Click.objects.all()} == {row.pk for row in rows}
    assert names_and_definitions(CATALOGUE.facts()) == names_and_definitions(plain)
    partitions = {each.name for each in CATALOGUE.partitions()}
    assert partitions == {FIRST, f"{TABLE}_{NOW.plus(2).suffix}", f"{TABLE}_{NOW.plus(3).suffix}", DEFAULT}


def test_the_swap_reads_no_row(campaign: Campaign) -> None:
    Click.objects.bulk_create([click(campaign)])
    notices: list[str] = []
    sql("SET client_min_messages = debug1")
    connection.connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))

    partition()

    sql("RESET client_min_messages")
    assert f'partition constraint for table "{FIRST}" is implied by existing constraints' in notices
    swap = notices[
        notices.index(
            f'ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index "{convert.PREPARED}" to "{FIRST}_pkey"'
        ) :
    ]
    assert not [
        each for each in swap if each.startswith(("verifying table", "building index", "validating")) and FIRST in each
    ]


@pytest.mark.parametrize("done", range(4))
def test_a_run_that_was_interrupted_is_gone_on_with(done: int, plain: Facts, campaign: Campaign) -> None:
    Click.objects.bulk_create([click(campaign)])
    for step in convert.steps(CATALOGUE, BOUNDARY, NOW.plus(3))[:done]:
        run(step, "default", 5)

    remaining = convert.steps(CATALOGUE, BOUNDARY, NOW.plus(3))
    partition()

    assert len(remaining) == 5 - done
    assert names_and_definitions(CATALOGUE.facts()) == names_and_definitions(plain)
    assert held() == {FIRST: 1}


def test_a_run_with_another_boundary_takes_the_first_ones_bound_away(campaign: Campaign) -> None:
    Click.objects.bulk_create([click(campaign)])
    for step in convert.steps(CATALOGUE, BOUNDARY, NOW.plus(3))[:3]:
        run(step, "default", 5)

    later = NOW.plus(4)
    partition("--boundary", str(later))

    assert held() == {convert.first_partition(later): 1}
    assert [each.name for each in CATALOGUE.facts(convert.first_partition(later)).constraints] == [
        each.name for each in CATALOGUE.facts().constraints
    ]


def test_an_index_whose_building_was_cut_short_is_built_anew(campaign: Campaign) -> None:
    Click.objects.bulk_create([click(campaign)])
    with another_session() as writer, another_session() as builder:
        writer.execute(f"LOCK TABLE {TABLE} IN ROW EXCLUSIVE MODE")
        builder.autocommit = True
        builder.execute("SET statement_timeout = 100")
        [build] = convert.steps(CATALOGUE, BOUNDARY, NOW)[0].statements
        with pytest.raises(QueryCanceled):
            builder.execute(build)
    assert [index.is_valid for index in CATALOGUE.facts().indexes if index.name == convert.PREPARED] == [False]

    partition()

    assert held() == {FIRST: 1}
    assert all(index.is_valid for index in CATALOGUE.facts(FIRST).indexes)


def test_rows_beyond_the_boundary_are_counted_and_nothing_is_changed(plain: Facts, campaign: Campaign) -> None:
    Click.objects.bulk_create([click(campaign, BOUNDARY.start), click(campaign, BOUNDARY.start - timedelta.resolution)])

    assert refused().startswith(f"1 rows of {TABLE} lie at or after {BOUNDARY}, from {BOUNDARY}-01 00:00:00+00")
    assert CATALOGUE.facts() == plain

    partition("--boundary", str(BOUNDARY.plus(1)))
    assert held() == {convert.first_partition(BOUNDARY.plus(1)): 2}


def test_a_row_that_comes_in_behind_the_count_is_told_of_too_and_may_stay(
    plain: Facts, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = convert.refuse_beyond

    def count_then_write(*arguments: Any) -> None:
        count(*arguments)
        Click.objects.bulk_create([click(campaign, BOUNDARY.start)])

    monkeypatch.setattr(convert, "refuse_beyond", count_then_write)
    assert f"1 rows of {TABLE} lie at or after {BOUNDARY}" in refused()
    kept = CATALOGUE.facts()
    assert kept.constraints == plain.constraints  # a bound would go on refusing clicks
    assert [index.is_valid for index in kept.indexes if index.name == convert.PREPARED] == [True]


@pytest.mark.parametrize("done", [1, 3])
def test_a_table_that_others_hold_is_left_as_it_is(done: int, plain: Facts) -> None:
    """At the first step that locks, and at the swap."""
    for step in convert.steps(CATALOGUE, BOUNDARY, NOW.plus(3))[:done]:
        run(step, "default", 5)
    with another_session() as other:
        other.execute(f"LOCK TABLE {TABLE} IN ACCESS SHARE MODE")
        assert "others held the tables for longer than 0.05 s: ads_click is still the plain table" in refused(
            "--lock-timeout", "0.05"
        )
    assert not CATALOGUE.is_partitioned()
    partition()
    assert names_and_definitions(CATALOGUE.facts()) == names_and_definitions(plain)


@pytest.mark.parametrize(
    ("made", "dropped", "named"),
    [
        ("CREATE VIEW recent AS SELECT * FROM ads_click", "DROP VIEW recent", "the view recent"),
        (
            "CREATE TRIGGER seen BEFORE UPDATE ON ads_click FOR EACH ROW"
            " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "DROP TRIGGER seen ON ads_click",
            "the trigger seen",
        ),
        (
            "CREATE TABLE sale (click uuid REFERENCES ads_click)",
            "DROP TABLE sale",
            "the foreign key sale_click_fkey of",
        ),
        ("CREATE POLICY mine ON ads_click USING (true)", "DROP POLICY mine ON ads_click", "the policy mine"),
        ("CREATE UNIQUE INDEX one_url ON ads_click (url)", "DROP INDEX one_url", "the unique index one_url"),
        (
            "ALTER TABLE ads_click ADD CONSTRAINT dear CHECK (cost < 99) NOT VALID",
            "ALTER TABLE ads_click DROP CONSTRAINT dear",
            "the constraint dear is not validated",
        ),
    ],
)
def test_what_would_stay_behind_with_the_old_table_is_named_first(made: str, dropped: str, named: str) -> None:
    sql(made)
    said = refused()
    sql(dropped)
    assert named in said
    assert not CATALOGUE.is_partitioned()


def test_rights_go_with_the_name() -> None:
    role = f"reader_{uuid.uuid4().hex}"  # roles are shared by all databases of a server
    sql(
        f"CREATE ROLE {role}",
        f"GRANT SELECT ON ads_click TO {role} WITH GRANT OPTION",
        f"GRANT UPDATE (ip) ON ads_click TO {role}",
    )
    granted = CATALOGUE.facts().grants
    partition()
    kept = CATALOGUE.facts().grants
    sql(f"DROP OWNED BY {role}", f"DROP ROLE {role}")

    assert kept == granted
    assert len(kept) == 2


def test_a_dry_run_shows_the_sql_and_runs_none(plain: Facts) -> None:
    said = partition("--dry-run")
    assert "CREATE UNIQUE INDEX CONCURRENTLY" in said
    assert f"ATTACH PARTITION {FIRST}" in said
    assert CATALOGUE.facts() == plain
    partition()
    assert f"CREATE TABLE {TABLE}_{NOW.plus(4).suffix}" in partition("--dry-run", "--months-ahead", "4")
    assert "DETACH PARTITION" in partition("--dry-run", "--undo")
    assert CATALOGUE.is_partitioned()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--boundary", "2027-13"], "must be a month such as 2027-01, not '2027-13'"),
        (["--drop-before", "last year"], "must be a month such as 2027-01"),
        (["--months-ahead", "0"], "at least 1"),
        (["--undo", "--boundary", "2027-01"], "--undo goes with neither"),
        (["--drop-before", "2020-01"], "is not partitioned yet"),
    ],
)
def test_a_mistake_is_named(arguments: list[str], said: str) -> None:
    assert said in refused(*arguments)


@pytest.mark.usefixtures("partitioned")
def test_a_boundary_is_for_the_first_run() -> None:
    partition("--boundary", str(BOUNDARY))  # the same again, as after an interruption
    assert "leave out --boundary" in refused("--boundary", str(BOUNDARY.plus(1)))


def test_between_the_check_and_the_swap_a_click_from_beyond_the_boundary_is_kept_as_failed(campaign: Campaign) -> None:
    for step in convert.steps(CATALOGUE, BOUNDARY, NOW.plus(3))[:3]:
        run(step, "default", 5)
    near, far = values(campaign, 1, 2)
    far = msgspec.json.encode(msgspec.json.decode(far) | {"occurred_at": BOUNDARY.start.isoformat()})

    assert counts(consume(ClickConsumer, near, far)) == {"written": 1, "failed": 1}
    partition()
    call_command("reprocess_failures", reason="constraint", stdout=StringIO())
    assert held() == {FIRST: 1, f"{TABLE}_{BOUNDARY.suffix}": 1}


# ---- writing and reading ------------------------------------------------------------------------------------------


@pytest.fixture(params=["insert", "copy", "merge"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The way to the table; "merge" is COPY that never hopes for new rows only."""
    monkeypatch.setattr("consumers.ingest.Optimism.tries", lambda self: request.param == "copy")
    return "insert" if request.param == "insert" else "copy"


@pytest.fixture(params=[Click, row_type(Click)], ids=["instances", "rows"])
def form(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return request.param  # type: ignore[no-any-return]


SPREAD = [datetime(2020, 2, 29, tzinfo=UTC), AT, BOUNDARY.start, NOW.plus(3).start, NOW.plus(30).start]
"""In the first partition, in those of two months, and in DEFAULT."""


@pytest.mark.usefixtures("partitioned")
def test_new_rows_go_to_the_partitions_of_their_months(path: Any, form: Callable[..., Any], campaign: Campaign) -> None:
    assert ingest(Click, [click(campaign, at, form=form) for at in SPREAD], ["event_id"], path=path) is None
    assert held() == {
        FIRST: 2,
        f"{TABLE}_{BOUNDARY.suffix}": 1,
        f"{TABLE}_{NOW.plus(3).suffix}": 1,
        DEFAULT: 1,
    }


def test_rows_from_before_the_swap_and_after_it_are_held_back_as_before(
    path: Any, form: Callable[..., Any], campaign: Campaign
) -> None:
    old = [click(campaign, AT + timedelta(seconds=n), form=form) for n in range(5)]
    ingest(Click, old, ["event_id"], path=path)
    partition()
    new = [click(campaign, at, form=form) for at in SPREAD]
    ingest(Click, new, ["event_id"], path=path)

    mixed = [new[0], click(campaign, form=form), old[3], click(campaign, SPREAD[3], form=form), new[4], new[2]]
    assert ingest(Click, mixed, ["event_id"], path=path) == [False, True, False, True, False, False]
    assert ingest(Click, [*old, *new], ["event_id"], path=path) == [False] * 10
    assert Click.objects.count() == 12


@pytest.mark.usefixtures("partitioned")
def test_of_a_row_that_is_repeated_the_first_is_written(
    path: Any, form: Callable[..., Any], campaign: Campaign
) -> None:
    twice = click(campaign, SPREAD[2], form=form)
    rows = [twice, click(campaign, form=form), twice, twice]
    assert ingest(Click, rows, ["event_id"], path=path) == [True, True, False, False]
    assert Click.objects.count() == 2


@pytest.mark.usefixtures("partitioned")
def test_an_id_that_is_there_twice_in_one_call_with_two_times_is_written_once_and_told_so(
    path: Any, form: Callable[..., Any], campaign: Campaign
) -> None:
    key = uuid.uuid4()
    rows = [click(campaign, at, key, form) for at in (AT, BOUNDARY.start)]
    assert ingest(Click, rows, ["event_id"], path=path) == [True, False]
    assert Click.objects.get().occurred_at == AT


@pytest.mark.usefixtures("partitioned")
def test_an_id_that_comes_again_with_another_time_makes_a_second_row(
    path: Any, form: Callable[..., Any], campaign: Campaign
) -> None:
    key = uuid.uuid4()
    for at in (AT, AT + timedelta.resolution, BOUNDARY.start):
        assert ingest(Click, [click(campaign, at, key, form)], ["event_id"], path=path) is None
    assert Click.objects.filter(event_id=key).count() == 3


def values(campaign: Campaign, *numbers: int) -> list[bytes]:
    maker = Clicks(1, [campaign.pk])
    return [maker.valid(number) for number in numbers]


def test_the_consumer_counts_duplicates_and_failures_as_before(campaign: Campaign) -> None:
    first = values(campaign, *range(50))
    before = consume(ClickConsumer, *first)
    partition()
    again = values(campaign, *range(40, 60), 55)
    after = consume(ClickConsumer, *first, *again, b"{", Clicks(1, [campaign.pk]).unknown(1))

    assert counts(before) == {"written": 50}
    assert counts(after) == {"written": 10, "duplicates": 11, "failed": 2}
    assert held() == {FIRST: 60}


@pytest.mark.usefixtures("partitioned")
def test_the_admins_pages_show_clicks_of_all_partitions(campaign: Campaign) -> None:
    rows = Click.objects.bulk_create([click(campaign, at) for at in SPREAD])
    get_user_model().objects.create_superuser("root", password="x")
    client = Client()
    client.login(username="root", password="x")

    listed = client.get("/admin/ads/click/").content.decode()
    assert all(str(row.pk) in listed for row in rows)
    found = client.get("/admin/ads/click/", {"q": str(rows[3].pk)}).content.decode()
    assert [str(row.pk) in found for row in rows] == [False, False, False, True, False]
    assert client.get(f"/admin/ads/click/{rows[4].pk}/change/").status_code == 200
    assert client.get("/admin/ads/click/", {"occurred_at__gte": BOUNDARY.start.isoformat()}).status_code == 200


# ---- migrations ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("partitioned")
def test_a_later_migration_changes_all_partitions_and_those_to_come(campaign: Campaign) -> None:
    Click.objects.bulk_create([click(campaign, at) for at in SPREAD])
    field = models.CharField(max_length=20, null=True)
    field.set_attributes_from_name("device")
    field.model = Click
    index = models.Index(fields=["device"], name="ads_click_device")
    constraint = models.CheckConstraint(name="ads_click_device_named", condition=~models.Q(url="-"))

    with connection.schema_editor() as editor:
        editor.add_field(Click, field)
        editor.execute("CREATE INDEX ads_click_device ON ads_click (device)")
        editor.add_constraint(Click, constraint)
    partition("--months-ahead", "5")
    newest = CATALOGUE.facts(f"{TABLE}_{NOW.plus(5).suffix}")
    sql("UPDATE ads_click SET device = 'phone'")
    counted = CATALOGUE.value("SELECT count(*) FROM ads_click WHERE device = 'phone'")
    with connection.schema_editor() as editor:
        editor.remove_constraint(Click, constraint)
        editor.remove_index(Click, index)
        editor.remove_field(Click, field)

    assert counted == len(SPREAD)
    assert "device" in newest.columns
    assert "ads_click_device_named" in [each.name for each in newest.constraints]
    assert any("(device)" in each.definition for each in newest.indexes)
    assert "device" not in CATALOGUE.facts(f"{TABLE}_{NOW.plus(5).suffix}").columns


# ---- the months that come and go ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("partitioned")
def test_later_runs_make_the_months_to_come_and_say_so() -> None:
    assert f"a partition for each month up to {NOW.plus(3)}" in partition()
    said = partition("--months-ahead", "5")
    made = [f"{TABLE}_{NOW.plus(ahead).suffix}" for ahead in (4, 5)]
    assert said.splitlines() == [f"Made {name}" for name in made]
    assert set(made) < {each.name for each in CATALOGUE.partitions()}
    shape = [CATALOGUE.facts(name) for name in (made[0], FIRST)]
    assert shape[0].constraints == shape[1].constraints


@pytest.mark.usefixtures("partitioned")
def test_rows_that_came_before_their_partition_are_moved_into_it(campaign: Campaign) -> None:
    early = [NOW.plus(4).start, NOW.plus(5).start - timedelta.resolution, NOW.plus(5).start, NOW.plus(9).start]
    Click.objects.bulk_create([click(campaign, at) for at in early])
    assert held() == {DEFAULT: 4}
    assert f"{DEFAULT} holds 4 rows" in partition()

    said = partition("--months-ahead", "4")

    assert f"Made {TABLE}_{NOW.plus(4).suffix}, with 2 rows out of {DEFAULT}" in said
    assert f"{DEFAULT} holds 2 rows that no month's partition is for, from {NOW.plus(5)}-01" in said
    assert held() == {f"{TABLE}_{NOW.plus(4).suffix}": 2, DEFAULT: 2}


@pytest.mark.usefixtures("partitioned")
def test_a_consumer_that_waits_while_its_rows_get_a_partition_loses_none(campaign: Campaign) -> None:
    at = NOW.plus(4).start.isoformat()
    late = [
        msgspec.json.encode(msgspec.json.decode(each) | {"occurred_at": at}) for each in values(campaign, *range(30))
    ]
    ready = threading.Event()

    def make_partition() -> None:
        with another_session() as other:
            other.execute(f"LOCK TABLE {DEFAULT} IN ACCESS EXCLUSIVE MODE")
            ready.set()
            waiting = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '{DEFAULT}'::regclass"
            while not other.execute(waiting).fetchone()[0]:  # type: ignore[index]
                time.sleep(0.01)
            name, first, end = f"{TABLE}_{NOW.plus(4).suffix}", NOW.plus(4).literal, NOW.plus(5).literal
            other.execute(f"CREATE TABLE {name} (LIKE {TABLE} INCLUDING ALL EXCLUDING INDEXES)")  # type: ignore[arg-type]
            other.execute(f"ALTER TABLE {TABLE} ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({end})")  # type: ignore[arg-type]

    maintenance = threading.Thread(target=make_partition)
    maintenance.start()
    ready.wait(20)
    done = consume(ClickConsumer, *late)
    maintenance.join(20)

    assert counts(done) == {"written": 30}
    assert held() == {f"{TABLE}_{NOW.plus(4).suffix}": 30}


def test_old_partitions_are_dropped_with_their_rows_once_that_was_said_twice(campaign: Campaign) -> None:
    past = NOW.plus(-4)
    partition("--boundary", str(past))
    Click.objects.bulk_create([click(campaign, month.start) for month in months(past.plus(-3), NOW)])
    before = str(past.plus(2))

    assert f"nobody is there to be asked about dropping {convert.first_partition(past)} (3 rows)" in refused(
        "--drop-before", before
    )
    assert Click.objects.count() == 8
    said = partition("--drop-before", before, "--yes")

    assert f"Dropped {convert.first_partition(past)} with 3 rows" in said
    assert f"Dropped {TABLE}_{past.plus(1).suffix} with 1 rows" in said
    assert min(Click.objects.values_list("occurred_at", flat=True)) == past.plus(2).start
    assert f"a partition for each month up to {NOW.plus(3)}" in partition()  # those dropped are not made again
    assert "nothing to drop" in partition("--drop-before", before)
    assert f"name {NOW} at most" in refused("--drop-before", str(NOW.plus(1)), "--yes")


def test_late_clicks_of_dropped_months_are_kept_in_default(campaign: Campaign) -> None:
    past = NOW.plus(-1)
    partition("--boundary", str(past))
    partition("--drop-before", str(past), "--yes")
    assert ingest(Click, [click(campaign, past.plus(-5).start)], ["event_id"]) is None
    assert held() == {DEFAULT: 1}


# ---- the way back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dropped", [False, True], ids=["", "without its first partition"])
def test_the_way_back_keeps_every_row_and_gives_the_plain_table(
    dropped: bool, plain: Facts, campaign: Campaign
) -> None:
    partition("--boundary", str(NOW.plus(-1)))
    if dropped:
        partition("--drop-before", str(NOW.plus(-1)), "--yes")
    rows = Click.objects.bulk_create([click(campaign, at) for at in SPREAD])

    assert partition("--undo").splitlines()[-1] == "ads_click is a plain table"

    assert not CATALOGUE.is_partitioned()
    assert {row.pk for row in Click.objects.all()} == {row.pk for row in rows}
    assert names_and_definitions(CATALOGUE.facts()) == names_and_definitions(plain)
    assert ingest(Click, rows, ["event_id"]) == [False] * len(rows)
    assert partition("--undo") == "ads_click is a plain table: nothing to undo\n"


@pytest.mark.usefixtures("partitioned")
def test_there_is_no_way_back_while_an_id_has_two_rows(campaign: Campaign) -> None:
    key = uuid.uuid4()
    Click.objects.bulk_create([click(campaign, at, key) for at in SPREAD])
    assert "1 values of event_id have several rows" in refused("--undo")
    assert CATALOGUE.is_partitioned()


@pytest.mark.parametrize("done", range(1, 4))
def test_a_conversion_is_given_up_without_a_trace(done: int, plain: Facts) -> None:
    for step in convert.steps(CATALOGUE, BOUNDARY, NOW.plus(3))[:done]:
        run(step, "default", 5)
    partition("--undo")
    assert CATALOGUE.facts() == plain


# ---- months -------------------------------------------------------------------------------------------------------


def test_months_count_over_the_end_of_a_year() -> None:
    assert [str(month) for month in months(Month(2026, 11), Month(2027, 2))] == [
        "2026-11",
        "2026-12",
        "2027-01",
        "2027-02",
    ]
    assert Month(2027, 1).plus(-1) == Month(2026, 12)
    assert months(Month(2027, 2), Month(2027, 1)) == []
    assert Month.of(datetime.fromisoformat("2027-01-01T00:30:00+01:00")) == Month(2026, 12)
