"""Pages of rows that the engine or a consumer writes: to be looked at, never edited."""

from __future__ import annotations

from django.db.models import Model
from django.http import HttpRequest


class LookOnly:
    """A mixin of ModelAdmins: nothing is added, changed or deleted by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
