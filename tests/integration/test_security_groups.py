"""The groups of users that the project suggests: each holds what its work takes, as the document says, and no more."""

from __future__ import annotations

import io
import re

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from consumers.management.commands.operator_groups import CONTROLLER, GROUPS, OPERATOR, VIEWER
from consumers.settings import EngineSettings
from tests.e2e.harness import CHECKOUT

pytestmark = pytest.mark.django_db

PAGES = ("failedrecord", "failuregroup", "retryrun", "alert", "partitionledger", "positionmove", "offsetgap", "worker")


def made() -> str:
    out = io.StringIO()
    call_command("operator_groups", stdout=out)
    return out.getvalue()


def member(name: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.groups.add(Group.objects.get(name=name))
    client = Client()
    client.force_login(user)
    return client


def test_the_groups_are_made_once_and_brought_up_to_date_with_their_members() -> None:
    assert made().count("made") == len(GROUPS)
    viewers = Group.objects.get(name="Consumers: viewer")
    viewers.permissions.set(Permission.objects.filter(codename="delete_failedrecord"))
    ada = User.objects.create_user("ada")
    ada.groups.add(viewers)
    assert made().count("up to date") == len(GROUPS)
    assert set(viewers.permissions.values_list("codename", flat=True)) == set(VIEWER)
    assert ada.groups.get() == viewers


def test_a_member_of_any_of_them_sees_all_pages() -> None:
    made()
    for name in GROUPS:
        client = member(name)
        for page in PAGES:
            assert client.get(reverse(f"admin:consumers_{page}_changelist")).status_code == 200, (name, page)


def test_each_may_only_what_is_its_own() -> None:
    made()
    order = reverse("admin:consumers_console_order", kwargs={"kind": "pause"})
    answers = {name: member(name).get(order).status_code for name in GROUPS}
    assert answers == {"Consumers: viewer": 403, "Consumers: operator": 403, "Consumers: controller": 200}
    assert set(OPERATOR) & set(CONTROLLER) == set(VIEWER)


def test_what_shows_redacted_values_or_deletes_is_in_no_group() -> None:
    given = {codename for codenames in GROUPS.values() for codename in codenames}
    own = {name for model in apps.get_app_config("consumers").get_models() for name, _ in model._meta.permissions}
    assert own - given == {"view_sensitive_failedrecord"}
    assert "delete_failedrecord" not in given
    assert not [name for name in given if name.startswith(("add_", "change_", "delete_"))]


def test_the_document_says_who_may_what() -> None:
    text = (CHECKOUT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = [line.split("|")[2:6] for line in text.splitlines() if line.startswith("|") and "`" in line.split("|")[2]]
    said: dict[str, set[str]] = {name: set() for name in GROUPS}
    for codenames, *marks in rows:
        for name, mark in zip(GROUPS, marks, strict=False):
            if mark.strip() == "yes":
                said[name] |= set(re.findall(r"`(\w+)`", codenames))
    assert said == {name: set(codenames) for name, codenames in GROUPS.items()}


def test_a_permission_that_is_missing_is_named() -> None:
    Permission.objects.filter(codename="control_worker").delete()
    with pytest.raises(CommandError, match=r"control_worker: run manage\.py migrate first"):
        made()
    assert not Group.objects.exists()


def test_the_settings_show_no_password_when_they_are_printed() -> None:
    settings = EngineSettings(
        properties={"sasl.password": "marker", "ssl.key.pem": "marker"},
        alerts={"webhook": "https://example.org/marker", "webhook_secret": "marker"},
    )
    assert "marker" not in repr(settings)
    assert "marker" not in repr(settings.alert_policy())
