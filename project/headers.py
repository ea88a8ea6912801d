"""Headers of every answer that limit what a page may do, should somebody ever get text of theirs into one."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

# Django has this built in from 6.0 on; a package for it would bring nonces and reports, which nothing here needs: there
# is no inline script or style on any page.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    )
)
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()" for feature in ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Permissions-Policy": PERMISSIONS_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Beside those of Django's SecurityMiddleware: nosniff, Referrer-Policy and Cross-Origin-Opener-Policy."""

DEBUG_PAGES = (404, 500)

GetResponse = Callable[[HttpRequest], HttpResponseBase]


def security_headers(get_response: GetResponse) -> GetResponse:
    """A middleware that adds `HEADERS` to every answer that does not have its own."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if settings.DEBUG and response.status_code in DEBUG_PAGES:
            return response  # Django's pages for developers carry their script and style with them
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return answer
