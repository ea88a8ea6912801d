"""Failed records and users for the tests of the admin."""

from __future__ import annotations

import itertools
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from consumers.models import FailedRecord

LIST = "admin:consumers_failedrecord_changelist"

_offsets = itertools.count(1)


def failed(**fields: Any) -> FailedRecord:
    """A stored failed record; whatever a test doesn't care about has a default."""
    now = timezone.now()
    defaults: dict[str, Any] = {
        "consumer": "admin-test",
        "group": "admin-test",
        "topic": "orders",
        "partition": 0,
        "offset": next(_offsets),
        "value": b'{"order": 1}',
        "reason": "invalid",
        "fingerprint": "0123456789abcdef",
        "first_failed_at": now,
        "last_failed_at": now,
    }
    return FailedRecord.objects.create(**defaults | fields)


def client_with(*codenames: str) -> Client:
    """A client logged in as a member of staff with these permissions of `consumers`."""
    user = User.objects.create_user(f"staff-{next(_offsets)}", is_staff=True)
    for codename in codenames:
        user.user_permissions.add(Permission.objects.get(codename=codename, content_type__app_label="consumers"))
    client = Client()
    client.force_login(user)
    return client


def viewer(*more: str) -> Client:
    return client_with("view_failedrecord", *more)


def page_of(record: FailedRecord) -> str:
    return reverse("admin:consumers_failedrecord_change", args=[record.pk])


def html(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()
