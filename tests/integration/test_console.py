"""The live console: what it shows, who may see it, and the orders that are given from it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consumers.models import Control, ControlReply, WorkerEvent
from tests.integration.admin_records import client_with, html
from tests.integration.console_rows import CONSOLE, GROUP, TOPIC, consumer, ledger_line, partition, sample, worker

pytestmark = pytest.mark.django_db

PAUSE = f"{CONSOLE}order/pause/"
ORDERS = ["pause", "writers", "concurrency", "chunk_size", "drain", "dump"]


def looker() -> Client:
    return client_with("view_console")


def operator() -> Client:
    return client_with("view_console", "control_worker")


def pause_form(number: int | str = 0, **fields: str) -> dict[str, str]:
    return {"target": f'["{GROUP}", "{TOPIC}", {number}]', "reason": "vacuum", "duration": "", **fields}


def parts(client: Client) -> dict[str, str]:
    answer = client.get(f"{CONSOLE}live/").json()
    return dict(answer["parts"])


# ---- what is shown ------------------------------------------------------------------------------------------------


def test_a_worker_is_shown_with_its_partitions_limiter_and_pool() -> None:
    ledger_line()
    worker(consumer(partition(end=350, lag=250)))
    page = html(looker(), CONSOLE)
    for text in ("web-1:4711", "v7", f"{TOPIC}[0]", "250", "writers at once 4 to 2", "3 of 10", "85.8"):
        assert text in page, text


def test_a_silent_worker_is_stale_and_its_partitions_have_no_worker() -> None:
    ledger_line()
    worker(seen_at=timezone.now() - timedelta(minutes=2))
    shown = parts(looker())
    assert ">stale<" in shown["workers"]
    assert ">no worker<" in shown["partitions"]
    assert "No live worker" in shown["consumers"]


def test_a_broker_that_is_away_is_named_wherever_an_outage_is() -> None:
    one = worker(consumer(partition(), broker="broker-1: refused"))
    shown = parts(looker())
    assert "the broker does not answer: broker-1: refused" in shown["consumers"]
    assert "the broker does not answer: broker-1: refused" in shown["workers"]
    assert "broker-1: refused" in html(looker(), f"{CONSOLE}{one.pk}/")


def test_a_paused_partition_shows_its_lag_and_who_paused_it_and_why() -> None:
    ledger_line()
    worker(consumer(partition(end=900, lag=800, state="paused", operator_paused=True)))
    Control.objects.create(kind="pause", group=GROUP, topic=TOPIC, partition=0, by="ada", reason="vacuum")
    shown = parts(operator())["partitions"]
    assert ">paused<" in shown
    assert "800" in shown
    assert "paused by ada" in shown
    assert "vacuum" in shown
    assert "Resume" in shown


def test_lag_that_falls_is_told_with_the_time_that_is_left() -> None:
    ledger_line(at=9_000)
    one = worker(consumer(partition(settled=9_000, end=10_000, lag=1_000)))
    now = timezone.now()
    for seconds, lag in ((60, 4_000), (40, 3_000), (20, 2_000), (0, 1_000)):
        sample(one, now - timedelta(seconds=seconds), lags={TOPIC: {"0": lag}})
    shown = parts(looker())["partitions"]
    assert "falling 50/s" in shown
    assert "20 s" in shown


def test_rates_are_those_of_the_last_half_minute_over_all_workers() -> None:
    now = timezone.now()
    for pid in (1, 2):
        one = worker(pid=pid)
        sample(one, now - timedelta(seconds=90), written=0)
        sample(one, now - timedelta(seconds=25), written=5_000, failed=0)
        sample(one, now - timedelta(seconds=5), written=7_000, failed=20)
    shown = parts(looker())["consumers"]
    assert "200 <small>written" in shown
    assert "2 <small>failed" in shown


def test_the_time_budget_is_told_in_words_too() -> None:
    now = timezone.now()
    one = worker()
    sample(one, now - timedelta(seconds=60), stages={"decode": 1.0, "settle": 2.0, "write": 1.0, "wait": 0.0})
    sample(one, now, stages={"decode": 2.0, "settle": 5.0, "write": 3.0, "wait": 6.0})
    shown = parts(looker())["consumers"]
    for text in ("decode 10 %", "write rows 20 %", "ledger and commit 10 %", "wait for records 60 %"):
        assert text in shown, text


def test_an_idle_consumers_budget_is_that_of_its_last_busy_time_and_says_so() -> None:
    now = timezone.now()
    one = worker(consumer(partition(), settled_age=1_800.0))
    then = now - timedelta(seconds=1_800)
    sample(one, then - timedelta(seconds=100), stages={"settle": 2.0, "write": 1.0, "wait": 0.0})
    sample(one, then + timedelta(seconds=4), stages={"settle": 5.0, "write": 3.0, "wait": 7.0})
    for seconds in (900, 100, 0):
        sample(one, now - timedelta(seconds=seconds), stages={"settle": 5.0, "write": 3.0, "wait": 1_800.0 - seconds})
    shown = parts(looker())["consumers"]
    assert "No lane has had work in the last two minutes." in shown
    assert "in the two minutes up to the last chunk, 30 min ago" in shown
    assert "Where the lanes' time went, last two minutes" not in shown
    for text in ("write rows 20 %", "ledger and commit 10 %", "wait for records 70 %"):
        assert text in shown, text


@pytest.mark.parametrize(
    ("settled", "said"),
    [(None, "nor since the workers' start"), (90_000.0, "No lane has had work in the last two minutes.")],
)
def test_an_idle_consumer_of_which_no_budget_is_known_is_said_to_be_idle(settled: float | None, said: str) -> None:
    one = worker(consumer(partition(), settled_age=settled))
    for seconds in (100, 0):
        sample(one, timezone.now() - timedelta(seconds=seconds), stages={"settle": 5.0, "wait": 1_800.0 - seconds})
    shown = parts(looker())["consumers"]
    assert said in shown
    assert "console-budget" not in shown


def test_nothing_is_said_of_the_lanes_time_before_two_samples_tell() -> None:
    sample(worker(), timezone.now(), stages={"settle": 5.0, "write": 3.0, "wait": 1.0})
    shown = parts(looker())["consumers"]
    assert "lane" not in shown


def test_charts_get_a_value_for_each_step_and_none_where_nothing_was_told() -> None:
    now = timezone.now()
    one = worker()
    for seconds in range(0, 101, 5):
        sample(one, now - timedelta(seconds=100 - seconds), written=seconds * 30, limit=2, lags={TOPIC: {"0": 7}})
    series = looker().get(f"{CONSOLE}live/?minutes=5").json()["series"]
    assert len(series["at"]) == 30
    assert {later - earlier for earlier, later in zip(series["at"], series["at"][1:], strict=False)} == {10}
    assert series["rates"]["written"][-5:] == pytest.approx([30.0] * 5, rel=0.01)
    assert series["rates"]["written"][0] is None
    assert series["lag"]["clicks"][-3:] == [7, 7, 7]
    assert series["limit"]["writers"][-1] == 2


def test_without_any_worker_the_page_says_how_to_start_one() -> None:
    page = html(looker(), CONSOLE)
    assert "manage.py consume NAME" in page
    assert looker().get(f"{CONSOLE}live/").json()["series"]["at"] == []


def test_what_workers_say_cannot_break_out_of_the_page() -> None:
    evil = '<script>alert(1)</script>\u202e"'
    one = worker(consumer(partition(), holding=evil, broker=evil, failed_by_reason={evil: 3}), host="<b>h", why=evil)
    WorkerEvent.objects.create(worker=one, at=timezone.now(), kind="limit", text=evil)
    Control.objects.create(kind="pause", group=evil, topic=evil, by=evil, reason=evil)
    for address in (CONSOLE, f"{CONSOLE}{one.pk}/"):
        page = html(operator(), address)
        assert "<script>alert" not in page
        assert "<b>h" not in page
        assert "\u202e" not in page


def test_pages_hold_no_inline_script_style_or_handler() -> None:
    ledger_line()
    one = worker()
    client = operator()
    for address in (CONSOLE, f"{CONSOLE}{one.pk}/", PAUSE, f"{CONSOLE}seek/"):
        content = re.search(r'<div id="content-main".*?</main>', html(client, address), re.DOTALL)
        assert content is not None
        assert not re.search(r"\s(style|on\w+)=", content[0])
        assert not re.search(r"<script(?![^>]*application/json)", content[0])


def test_the_console_takes_as_many_queries_for_many_workers_as_for_few() -> None:
    client = looker()
    taken = []
    for round_ in range(2):
        for pid in range(1 + 9 * round_):
            number = 100 * round_ + pid
            ledger_line(number)
            one = worker(consumer(partition(number)), pid=number)
            sample(one, timezone.now(), lags={TOPIC: {str(number): 1}})
            control = Control.objects.create(kind="pause", group=GROUP, topic=TOPIC, partition=number, by="ada")
            ControlReply.objects.create(control=control, worker=one.pk, worker_name="w", state="done")
        with CaptureQueriesContext(connection) as queries:
            client.get(f"{CONSOLE}live/")
        taken.append(len(queries))
    assert taken[0] == taken[1]


# ---- who may what -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [CONSOLE, f"{CONSOLE}live/", PAUSE, f"{CONSOLE}seek/"])
def test_nothing_is_shown_without_a_permission(address: str) -> None:
    assert client_with("view_failedrecord").get(address).status_code == 403


@pytest.mark.parametrize("kind", ORDERS)
def test_orders_need_a_permission_of_their_own(kind: str) -> None:
    ledger_line()
    one = worker()
    fields = pause_form(value="3", worker=str(one.pk)) | ({} if kind == "pause" else {"target": GROUP})
    address = f"{CONSOLE}order/{kind}/"
    assert looker().post(address, fields).status_code == 403
    assert not Control.objects.exists()
    assert operator().post(address, fields).status_code == 302
    assert Control.objects.get().kind == kind


def test_orders_that_may_not_be_given_are_shown_with_the_reason() -> None:
    ledger_line()
    worker()
    shown = parts(looker())["partitions"]
    assert 'aria-disabled="true"' in shown
    assert "lacks the permission to control consumers" in shown
    assert PAUSE not in shown
    assert PAUSE in parts(operator())["partitions"]


def test_what_is_posted_from_elsewhere_is_refused() -> None:
    ledger_line()
    client = Client(enforce_csrf_checks=True)
    client.cookies = operator().cookies
    assert client.post(PAUSE, pause_form()).status_code == 403
    assert not Control.objects.exists()


def test_looking_changes_nothing() -> None:
    ledger_line()
    one = worker()
    standing = Control.objects.create(kind="pause", group=GROUP, topic=TOPIC, by="ada")
    client = operator()
    for kind in ORDERS:
        assert client.get(f"{CONSOLE}order/{kind}/?worker={one.pk}&group={GROUP}").status_code == 200
    assert client.get(f"{CONSOLE}take-back/?order={standing.pk}").status_code == 404
    assert Control.objects.get().ended_at is None


# ---- orders -------------------------------------------------------------------------------------------------------


def test_a_pause_is_stored_with_owner_reason_and_end_and_logged() -> None:
    ledger_line(3)
    client = operator()
    client.post(PAUSE, pause_form(3, duration="60"))
    order = Control.objects.get()
    assert (order.kind, order.group, order.topic, order.partition) == ("pause", GROUP, TOPIC, 3)
    assert order.by.startswith("staff-")
    assert order.reason == "vacuum"
    assert order.expires_at is not None
    assert order.expires_at - order.at == timedelta(hours=1)
    assert LogEntry.objects.get().object_id == str(order.pk)


def test_an_order_takes_the_place_of_the_one_that_stood_before_it() -> None:
    ledger_line(0)
    ledger_line(1)
    client = operator()
    for number in (0, 1, 0, "null"):
        client.post(PAUSE, pause_form(number))
    standing = Control.objects.filter(ended_at__isnull=True).order_by("pk").values_list("partition", flat=True)
    assert list(standing) == [1, 0, None]


def test_an_order_is_taken_back_by_name_and_once() -> None:
    ledger_line()
    client = operator()
    client.post(PAUSE, pause_form())
    order = Control.objects.get()
    client.post(f"{CONSOLE}take-back/", {"order": order.pk})
    order.refresh_from_db()
    assert order.ended_at is not None
    assert order.ended_by == order.by
    answer = client.post(f"{CONSOLE}take-back/", {"order": order.pk}, follow=True)
    assert "not in force any more" in answer.content.decode()
    assert looker().post(f"{CONSOLE}take-back/", {"order": order.pk}).status_code == 403


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"target": '["clicks", "no-such", 0]'}, "Select a valid choice"),
        ({"reason": ""}, "This field is required"),
        ({"duration": "99999"}, "Select a valid choice"),
    ],
)
def test_an_order_that_makes_no_sense_is_not_given(fields: dict[str, str], said: str) -> None:
    ledger_line()
    answer = operator().post(PAUSE, pause_form(**fields))
    assert said in answer.content.decode()
    assert not Control.objects.exists()


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "100001", "x"])
def test_a_limit_is_a_number_within_reason(value: str) -> None:
    ledger_line()
    operator().post(f"{CONSOLE}order/chunk_size/", {"target": GROUP, "value": value, "reason": "r"})
    assert not Control.objects.exists()


def test_answers_are_shown_on_the_orders_own_page() -> None:
    order = Control.objects.create(kind="dump", worker=worker().pk, by="ada")
    ControlReply.objects.create(
        control=order, worker=order.worker, worker_name="web-1:4711", state="done", text="<stack>"
    )
    page = html(looker(), f"/admin/consumers/control/{order.pk}/change/")
    assert "&lt;stack&gt;" in page
    assert "web-1:4711" in page
