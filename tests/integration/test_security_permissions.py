"""Who may do what: each address and each act, without its permission and with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from consumers.admin.group_acts import ACTS
from consumers.admin.runs.forms import seal
from consumers.inbox.runs.selection import freeze
from consumers.models import Control
from tests.integration.admin_records import LIST, client_with
from tests.integration.admin_urls import PAGES, VIEW_RECORDS, Page, names_of_the_engine
from tests.integration.console_rows import TOPIC
from tests.integration.furnished import Furnished, furnish
from tests.integration.retry_runs import Teams

OPENED = [page for page in PAGES if page.opens]
CLOSED = [page for page in PAGES if not page.opens]


@pytest.fixture(autouse=True)
def consumer(registered: Callable[[type], type]) -> type:
    return registered(Teams)


@pytest.fixture
def rows(db: None) -> Furnished:
    return furnish(topic=TOPIC)


def superuser(**how: Any) -> Client:
    client = Client(**how)
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def root(db: None) -> Client:
    return superuser()


def everything_but(*codenames: str) -> Client:
    """Staff with all permissions of `consumers`, without these."""
    given = Permission.objects.filter(content_type__app_label="consumers").exclude(codename__in=codenames)
    return client_with(*given.values_list("codename", flat=True))


def contents() -> dict[str, list[dict[str, Any]]]:
    """All rows that are the engine's, and the log of what people did."""
    models = [*apps.get_app_config("consumers").get_models(), LogEntry]
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}  # type: ignore[attr-defined]


# ---- addresses ------------------------------------------------------------------------------------------------------


def test_every_address_of_the_admin_has_a_rule() -> None:
    assert {page.name for page in PAGES} == names_of_the_engine()


def test_who_is_not_logged_in_or_no_member_of_staff_is_sent_to_the_login(rows: Furnished) -> None:
    outsider = User.objects.create_user("outsider")
    outsider.user_permissions.set(Permission.objects.all())
    known = Client()
    known.force_login(outsider)
    before, let_in = contents(), []
    for page in PAGES:
        for client in (Client(), known):
            answers = (client.get(page.address(rows)), client.post(page.address(rows), page.data))
            if not all(answer.headers.get("Location", "").startswith(reverse("admin:login")) for answer in answers):
                let_in.append(page.label)
    assert let_in == []
    assert contents() == before


def test_every_permission_but_its_own_does_not_open_an_address(rows: Furnished) -> None:
    before, let_in = contents(), []
    for page in OPENED:
        client = everything_but(*page.opens, *_equivalents(page))
        looked, posted = client.get(page.address(rows)), client.post(page.address(rows), page.data)
        if looked.status_code not in ((403, 404, 405) if page.posts else (403,)) or posted.status_code != 403:
            let_in.append((page.label, looked.status_code, posted.status_code))
    assert let_in == []
    assert contents() == before


def test_each_of_its_permissions_opens_an_address(rows: Furnished) -> None:
    kept_out = []
    for page in OPENED:
        for codename in page.opens:
            answer = client_with(codename, *page.beside).get(page.address(rows), follow=True)
            if answer.status_code not in ((404, 405) if page.posts else (200,)):
                kept_out.append((page.label, codename, answer.status_code))
    assert kept_out == []


def test_what_nobody_does_by_hand_is_closed_to_superusers_too(root: Client, rows: Furnished) -> None:
    before = contents()
    for page in CLOSED:
        answers = (root.get(page.address(rows)), root.post(page.address(rows), {"post": "yes"}))
        assert [answer.status_code for answer in answers] == [403, 403], page.label
    assert contents() == before


def test_looking_changes_nothing(root: Client, rows: Furnished) -> None:
    before = contents()
    for page in PAGES:
        for query in ({}, {"action": "discard", "order": "pause", "do": "archive", "confirm": "yes", "apply": "1"}):
            root.get(page.address(rows), query)
            root.head(page.address(rows), query)
        assert contents() == before, page.label


def test_a_post_without_the_token_is_refused(rows: Furnished) -> None:
    before = contents()
    client = superuser(enforce_csrf_checks=True)
    for page in PAGES:
        assert client.post(page.address(rows), {"post": "yes", **page.data}).status_code == 403, page.label
    assert contents() == before


def _equivalents(page: Page) -> tuple[str, ...]:
    """What Django takes for the right to view: the right to change."""
    return tuple(name.replace("view_", "change_", 1) for name in page.opens if name.startswith("view_"))


# ---- acts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Act:
    """Something that is posted, which changes something, and the permission that it takes beside those to look."""

    name: str
    permission: str
    beside: tuple[str, ...]
    address: Callable[[Furnished], str]
    data: Callable[[Furnished], dict[str, Any]] = field(default=lambda rows: {})


def _of_list(action: str, permission: str, **more: Any) -> Act:
    """An action of the list of failed records, as its page of confirmation posts it."""

    def data(rows: Furnished) -> dict[str, Any]:
        chosen = {"_selected_action": [rows.record.pk], "select_across": "0", "max_id": rows.record.pk}
        return {"action": action, "confirm": "yes", "ids": rows.record.pk, **chosen, **more}

    return Act(action, permission, (VIEW_RECORDS,), lambda rows: reverse(LIST), data)


def _of_group(do: str) -> Act:
    fields = {"text": "t", "to": "", "until": "ever", "note": "n"}
    permission = ACTS[do].permission.removeprefix("consumers.")

    def data(rows: Furnished) -> dict[str, Any]:
        return {"do": do, "upper_id": 10**12, **fields}

    def address(rows: Furnished) -> str:
        if do == "reopen":
            type(rows.group).objects.filter(pk=rows.group.pk).update(status="archived")
        return reverse("admin:consumers_failuregroup_act", args=[rows.group.pk])

    return Act(f"group {do}", permission, ("view_failuregroup",), address, data)


def _of_run(order: str) -> Act:
    def address(rows: Furnished) -> str:
        if order == "resume":
            type(rows.run).objects.filter(pk=rows.run.pk).update(state="paused")
        return reverse("admin:consumers_retryrun_order", args=[rows.run.pk])

    return Act(f"run {order}", "reprocess_failedrecord", (VIEW_RECORDS,), address, lambda rows: {"order": order})


def _of_console(kind: str) -> Act:
    def data(rows: Furnished) -> dict[str, Any]:
        target = f'["{rows.ledger.group}", "{rows.ledger.topic}", 0]' if kind == "pause" else rows.ledger.group
        return {"target": target, "value": 2, "worker": rows.worker.pk, "reason": "because", "duration": ""}

    def address(rows: Furnished) -> str:
        return reverse("admin:consumers_console_order", kwargs={"kind": kind})

    return Act(f"order {kind}", "control_worker", ("view_console",), address, data)


def _started(rows: Furnished) -> dict[str, Any]:
    sealed = seal(freeze({}, "all of them", "default"), "a" * 32, 1)
    return {"frozen": sealed, "reason": "mended", "rate": "0", "pause_above": "50", "ramp": "1, 5"}


def _on_record(name: str) -> Callable[[Furnished], str]:
    return lambda rows: reverse(f"admin:consumers_failedrecord_{name}", args=[rows.record.pk])


RUN_START = lambda rows: reverse("admin:consumers_retryrun_start")  # noqa: E731  (as short as the others)

ACTIONS = [
    _of_list("reprocess", "reprocess_failedrecord"),
    _of_list("discard", "discard_failedrecord", note="worthless"),
    _of_list("export_ndjson", "export_failedrecord"),
    _of_list("export_csv", "export_failedrecord"),
    Act("reveal", "view_sensitive_failedrecord", (VIEW_RECORDS,), _on_record("reveal")),
    Act("withdraw an edit", "edit_failedrecord", (VIEW_RECORDS,), _on_record("withdraw")),
    Act("delete", "delete_failedrecord", (VIEW_RECORDS,), _on_record("delete"), lambda rows: {"post": "yes"}),
    Act("start a run", "reprocess_failedrecord", (VIEW_RECORDS,), RUN_START, _started),
    *map(_of_run, ("pause", "resume", "cancel")),
    *(_of_group(do) for do in ACTS),
    Act(
        "acknowledge groups",
        "assign_failuregroup",
        ("view_failuregroup",),
        lambda rows: reverse("admin:consumers_failuregroup_changelist"),
        lambda rows: {"action": "acknowledge", "_selected_action": [rows.group.pk]},
    ),
    *(_of_console(kind) for kind in ("pause", "writers", "concurrency", "chunk_size", "drain", "dump")),
    Act(
        "take back",
        "control_worker",
        ("view_console",),
        lambda rows: reverse("admin:consumers_console_take_back"),
        lambda rows: {"order": rows.control.pk},
    ),
]


def _posted(client: Client, act: Act, rows: Furnished) -> tuple[bool, Any]:
    """Whether it changed anything, and the answer."""
    address, data = act.address(rows), act.data(rows)
    before = contents()
    answer = client.post(address, data)
    if answer.streaming:
        list(answer)  # type: ignore[call-overload]  # a streaming answer is an iterator
    return contents() != before, answer


@pytest.mark.parametrize("act", ACTIONS, ids=lambda act: act.name)
def test_every_permission_but_its_own_does_not_allow_an_act(rows: Furnished, act: Act) -> None:
    changed, answer = _posted(everything_but(act.permission), act, rows)
    assert not changed
    # Of a list, Django shows the list again where it knows no such action for this user.
    assert answer.status_code == 403 or "action" in act.data(rows)


@pytest.mark.parametrize("act", ACTIONS, ids=lambda act: act.name)
def test_its_permission_allows_an_act_and_who_did_it_is_kept(rows: Furnished, act: Act) -> None:
    client = client_with(act.permission, *act.beside)
    entries = LogEntry.objects.count()
    changed, answer = _posted(client, act, rows)
    assert answer.status_code in (200, 302)
    assert changed
    assert LogEntry.objects.count() > entries


@pytest.mark.parametrize("act", ACTIONS, ids=lambda act: act.name)
def test_an_act_takes_the_token_of_its_page(rows: Furnished, act: Act) -> None:
    changed, answer = _posted(superuser(enforce_csrf_checks=True), act, rows)
    assert (changed, answer.status_code) == (False, 403)


def test_every_permission_of_its_own_guards_an_act() -> None:
    own = {name for model in apps.get_app_config("consumers").get_models() for name, _ in model._meta.permissions}
    guards = {act.permission for act in ACTIONS} | {name for page in PAGES for name in page.opens}
    assert own <= guards


def test_seek_takes_the_right_to_control(rows: Furnished) -> None:
    address = reverse("admin:consumers_console_seek")
    target = f'["{rows.ledger.group}", "{rows.ledger.topic}"]'
    asked = {"apply": "1", "target": target, "offsets": '{"0": 0}', "reason": "because"}
    before = contents()
    assert everything_but("control_worker").post(address, asked).status_code == 403
    assert contents() == before
    assert Control.objects.filter(kind="seek").count() == 0
