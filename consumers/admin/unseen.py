"""A middleware: characters that nobody can see are written out on every page of the engine, stock ones included.

What comes from records is made visible where a page is put together. This is for all the rest that Django itself puts
into its pages, such as the names of rows in titles, histories and filters.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from consumers.admin.visible import visible

PAGES = "consumers_"
"""How the names of the engine's addresses begin."""

# What is typed into inputs must come back as it was sent; the other characters are looked at one by one.
_HTML = re.compile(r"""<textarea\b.*?</textarea>|\bvalue="[^"]*"|([^\t\n\r\x20-\x7e])""", re.DOTALL)
# In JSON that is ASCII only. A backslash that is itself escaped begins nothing; halves of a pair are no character.
_JSON = re.compile(r"\\\\|\\u(?!d[89a-f])([0-9a-f]{4})|\\([bf])")

GetResponse = Callable[[HttpRequest], HttpResponseBase]


def unseen_written_out(get_response: GetResponse) -> GetResponse:
    """The middleware. Answers that are streamed, and those of other apps, pass as they are."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        name = request.resolver_match.url_name if request.resolver_match else None
        if isinstance(response, HttpResponse) and (name or "").startswith(PAGES):
            _write_out(response)
        return response

    return answer


def _write_out(response: HttpResponse) -> None:
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    if kind == "text/html":
        response.content = _HTML.sub(_in_html, response.content.decode()).encode()
    elif kind == "application/json":
        response.content = _JSON.sub(_in_json, response.content.decode()).encode()


def _in_html(found: re.Match[str]) -> str:
    return visible(found[1]) if found[1] else found[0]


def _in_json(found: re.Match[str]) -> str:
    if not found[1]:
        return rf"\{found[0]}" if found[2] else found[0]
    char = chr(int(found[1], 16))
    return found[0] if visible(char) == char else rf"\{found[0]}"
