"""manage.py operator_groups: groups of users for the admin, each with no more permissions than its work takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

VIEWER = (
    "view_failedrecord",
    "view_failuregroup",
    "view_retryrun",
    "view_alert",
    "view_partitionledger",
    "view_positionmove",
    "view_offsetgap",
    "view_console",
)
OPERATOR = (
    *VIEWER,
    "reprocess_failedrecord",
    "edit_failedrecord",
    "discard_failedrecord",
    "export_failedrecord",
    "assign_failuregroup",
)
CONTROLLER = (*VIEWER, "control_worker")

GROUPS: Mapping[str, Sequence[str]] = {
    "Consumers: viewer": VIEWER,
    "Consumers: operator": OPERATOR,
    "Consumers: controller": CONTROLLER,
}
"""By name, the permissions of `consumers`. Two are in none, and given to people by name: `view_sensitive_failedrecord`
and `delete_failedrecord`."""


class Command(BaseCommand):
    help = (
        "Make the groups of users for the admin, or bring them up to date: viewers look at failures and at the live "
        "console, operators mend failures too, controllers control workers. Members stay as they are."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            for name, codenames in GROUPS.items():
                group, is_new = Group.objects.get_or_create(name=name)
                group.permissions.set(_permissions(codenames))
                self.stdout.write(f"{name}: {'made' if is_new else 'up to date'}, {len(codenames)} permissions")


def _permissions(codenames: Sequence[str]) -> list[Permission]:
    found = Permission.objects.filter(content_type__app_label="consumers", codename__in=codenames)
    permissions = list(found)
    if len(permissions) != len(codenames):
        missing = sorted(set(codenames) - {permission.codename for permission in permissions})
        text = f"the database lacks the permissions {', '.join(missing)}: run manage.py migrate first"
        raise CommandError(text, returncode=2)
    return permissions
