"""What every page holds to: a policy without inline script, and text from outside that stays text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any
from unicodedata import category

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import ResolverMatch, reverse

from consumers.admin.unseen import unseen_written_out
from project.headers import HEADERS, security_headers
from tests.integration.admin_urls import PAGES
from tests.integration.furnished import Furnished, furnish
from tests.integration.retry_runs import Teams

MARKUP = "\"'><script src=//evil.example/x.js></script><img src=x onerror=alert(1)><b hostile>"
HOSTILE = MARKUP + "\x1b[2J\x07\u202eevil\u2066\u200b"
"""Fits the shortest column that holds text of a record."""

READABLE = [page for page in PAGES if page.opens and not page.posts]
OTHERS = (
    "index",
    "login",
    "password_change",
    "auth_user_changelist",
    "ads_campaign_changelist",
    "ads_click_changelist",
)


class Faults(HTMLParser):
    """What in a page the policy forbids, or what a page of ours never has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [f"{tag} has {name}" for name in given if name.startswith("on") or name in ("style", "srcdoc")]
        if tag == "script" and not _may_run(given):
            self.found.append(f"script {given}")
        if tag in ("style", "base", "iframe", "object", "embed") or "hostile" in given:
            self.found.append(tag)
        for name in ("href", "src", "action", "formaction", "xlink:href"):
            if re.match(r"\s*(javascript|data|vbscript):", given.get(name) or "", re.IGNORECASE):
                self.found.append(f"{name} of {tag} is {given[name]}")


def _may_run(attributes: dict[str, str | None]) -> bool:
    """Data that no browser runs, or the site's own."""
    return attributes.get("type") == "application/json" or re.match(r"/\w", attributes.get("src") or "") is not None


@pytest.fixture(autouse=True)
def consumer(registered: Callable[[type], type]) -> type:
    return registered(Teams)


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def text_of(response: Any) -> str:
    return b"".join(response.streaming_content if response.streaming else [response.content]).decode()


def unseen(page: str) -> set[str]:
    """Characters in it that a reader can't see and a terminal or browser obeys. What inputs hold has to come back as it
    was, and is left out."""
    shown = re.sub(r'<textarea\b.*?</textarea>|\bvalue="[^"]*"', "", page, flags=re.DOTALL)
    return {char for char in shown if category(char) in ("Cc", "Cf", "Cs") and char not in "\n\r\t"}


def assert_sound(response: HttpResponse) -> None:
    page = text_of(response)
    assert response.status_code == 200, page[:500]
    assert Faults(page).found == []
    for name, value in HEADERS.items():
        assert response.headers[name] == value
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_every_page_of_the_engine_holds_the_policy(root: Client) -> None:
    rows = furnish()
    for page in READABLE:
        response = root.get(page.address(rows), follow=True)
        if response.headers["Content-Type"] == "application/json":
            assert Faults("".join(response.json().get("parts", {}).values())).found == [], page.label
            assert response.headers["Content-Security-Policy"], page.label
        else:
            assert_sound(response)


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_pages_hold_it_too(root: Client, name: str) -> None:
    client = Client() if name == "login" else root
    assert_sound(client.get(reverse(f"admin:{name}")))


def test_the_policy_lets_no_inline_script_or_style_run() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "data:" not in policy


def test_refusals_and_files_carry_the_policy_too(db: None) -> None:
    client = Client()
    for address in ("/nowhere/", "/static/consumers/failures.css", reverse("admin:index")):
        response = client.get(address)
        assert response.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
        response.close()  # of the file


def test_the_pages_for_developers_are_left_alone_with_debug_alone(settings: Any) -> None:
    answer = security_headers(lambda request: HttpResponse(status=500))
    request = RequestFactory().get("/")
    assert "Content-Security-Policy" in answer(request).headers
    settings.DEBUG = True
    assert "Content-Security-Policy" not in answer(request).headers


def test_the_checker_of_pages_sees_each_kind_of_fault() -> None:
    faulty = (
        "<script>1</script>",
        '<script src="//evil.example/x.js"></script>',
        '<p style="color: red">',
        '<a href=" JavaScript:alert(1)">',
        '<svg onload="x">',
        "<style>p {}</style>",
        '<base href="/">',
        "<b hostile>",
    )
    for page in faulty:
        assert Faults(page).found, page
    assert not Faults('<script src="/static/a.js"></script><script type="application/json">{}</script>').found


def written_out(kind: str, content: str) -> str:
    """What the middleware makes of a page of the engine."""
    request = RequestFactory().get("/")
    request.resolver_match = ResolverMatch(print, (), {}, url_name="consumers_worker_changelist")
    return text_of(unseen_written_out(lambda _: HttpResponse(content, content_type=kind))(request))


def test_characters_that_cannot_be_seen_are_written_out_but_for_what_inputs_send_back() -> None:
    page = '<p title="\u202e">a\x1bb \u00e9 \U0001f600</p>\n<input value="\u202e"><textarea>\u200b\n</textarea>\u200b'
    said = (
        '<p title="\\u202e">a\\u001bb \u00e9 \U0001f600</p>\n<input value="\u202e"><textarea>\u200b\n</textarea>\\u200b'
    )
    assert written_out("text/html; charset=utf-8", page) == said
    assert written_out("text/plain", page) == page


def test_so_are_those_in_json_and_what_was_written_out_before_stays() -> None:
    said = {"a\u202e": "\x1b\b\f\n\t \u00e9 \U0001f600 \\u202e \\\\", "b": 1}
    seen = json.loads(written_out("application/json", json.dumps(said)))
    assert seen == {"a\\u202e": "\\u001b\\b\\f\n\t \u00e9 \U0001f600 \\u202e \\\\", "b": 1}


# ---- text from outside ----------------------------------------------------------------------------------------------


@pytest.fixture
def hostile(root: Client) -> Furnished:
    return furnish(HOSTILE)


def test_hostile_text_stays_text_on_every_page(root: Client, hostile: Furnished) -> None:
    for page in READABLE:
        response = root.get(page.address(hostile), follow=True)
        if response.headers["Content-Type"] == "application/json":
            shown = "".join(_texts(response.json()))
            faults = Faults("".join(response.json().get("parts", {}).values())).found
        else:
            shown = text_of(response)
            faults = Faults(shown).found
        assert (faults, unseen(shown)) == ([], set()), page.label


def test_hostile_text_is_on_the_pages_that_it_can_break(root: Client, hostile: Furnished) -> None:
    """Else the test above would prove nothing."""
    for name in ("failedrecord", "failuregroup", "retryrun"):
        page = text_of(root.get(reverse(f"admin:consumers_{name}_change", args=[hostile.of(name).pk])))
        assert "&lt;script src=//evil.example" in page, name
        assert r"\u202e" in page, name


def test_hostile_text_stays_text_on_what_is_posted(root: Client, hostile: Furnished) -> None:
    record = reverse("admin:consumers_failedrecord_changelist")
    chosen = {"_selected_action": [hostile.record.pk], "select_across": 0}
    for action in ("reprocess", "discard", "retry"):
        page = text_of(root.post(record, {"action": action, **chosen}, follow=True))
        assert Faults(page).found == []
        assert unseen(page) == set()
    page = text_of(root.post(reverse("admin:consumers_failedrecord_reveal", args=[hostile.record.pk])))
    assert Faults(page).found == []
    assert unseen(page) == set()


def test_an_export_for_a_spreadsheet_holds_no_formula_and_nothing_unseen(root: Client) -> None:
    rows = furnish('=HYPERLINK("//evil.example")\x1b[2J\u202e\u200b')
    chosen = {"_selected_action": [rows.record.pk], "select_across": 0}
    sheet = text_of(root.post(reverse("admin:consumers_failedrecord_changelist"), {"action": "export_csv", **chosen}))
    assert "HYPERLINK" in sheet
    assert not re.search(r'(^|,)"\s*[=+@]', sheet)
    assert unseen(sheet) == set()


def _texts(found: Any) -> Iterator[str]:
    """All texts of a JSON document, its keys too."""
    if isinstance(found, dict):
        yield from found
        found = list(found.values())
    if isinstance(found, list):
        for each in found:
            yield from _texts(each)
    elif isinstance(found, str):
        yield found
