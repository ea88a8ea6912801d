"""Who may look at the console, and who may give orders."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

VIEW = "consumers.view_console"
CONTROL = "consumers.control_worker"

NO_CONTROL = "Your account lacks the permission to control consumers."


def may_view(request: HttpRequest) -> bool:
    """Who may give orders may see what they do."""
    return request.user.has_perm(VIEW) or request.user.has_perm(CONTROL)


def may_control(request: HttpRequest) -> bool:
    return request.user.has_perm(CONTROL)


def require_view(request: HttpRequest) -> None:
    if not may_view(request):
        raise PermissionDenied


def require_control(request: HttpRequest) -> None:
    if not may_control(request):
        raise PermissionDenied
