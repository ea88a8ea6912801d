"""Every page of ours for everybody: no serious fault that axe-core knows, and nothing wider than a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.chromium import DESK, PHONE, Scheme, visit
from tests.browser.scene import OPERATOR, Scene

GRAVE = ("serious", "critical")


def _first_record(stage: Scene) -> int:
    number: int = stage.site.one("SELECT min(id) FROM consumers_failedrecord WHERE status = 'pending'")
    return number


def _failure(reason: str) -> Callable[[Scene], str]:
    """The page of a record that failed in this way, whatever became of it: each way makes another page."""

    def url(stage: Scene) -> str:
        number = stage.site.one("SELECT max(id) FROM consumers_failedrecord WHERE reason = %s", reason)
        return f"/admin/consumers/failedrecord/{number}/change/"

    return url


PAGES: dict[str, Callable[[Scene], str]] = {
    "groups": lambda stage: "/admin/consumers/failuregroup/",
    "group": lambda stage: stage.url_of("undecodable"),
    "failures": lambda stage: "/admin/consumers/failedrecord/",
    **{f"failure: {reason}": _failure(reason) for reason in ("undecodable", "invalid", "unknown_campaign")},
    "edit": lambda stage: f"/admin/consumers/failedrecord/{_first_record(stage)}/edit/",
    "start": lambda stage: "/admin/consumers/retryrun/start/?consumer=clicks",
    "runs": lambda stage: "/admin/consumers/retryrun/",
    "console": lambda stage: "/admin/consumers/worker/",
    "pause": lambda stage: "/admin/consumers/worker/order/pause/",
    "seek": lambda stage: "/admin/consumers/worker/seek/",
    "ledger": lambda stage: "/admin/consumers/partitionledger/",
    "alerts": lambda stage: "/admin/consumers/alert/",
    "events": lambda stage: "/admin/consumers/workerevent/",
}


def faults(page: Page) -> list[str]:
    """What axe-core finds grave on the page, in one line each."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:160]}"
        for each in found
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_grave_fault(chrome: Browser, stage: Scene, scheme: Scheme) -> None:
    with visit(chrome, stage.address, OPERATOR, size=DESK, scheme=scheme, bypass_csp=True) as page:
        found = {}
        for name, url in PAGES.items():
            response = page.goto(url(stage))
            assert response is not None, name
            assert response.ok, f"{name}: {response.status}"
            page.wait_for_load_state("networkidle")
            found[name] = faults(page)
    told = [f"{name}: {line}" for name, lines in found.items() for line in lines]
    assert not told, "\n".join(told)


def test_no_page_is_wider_than_a_phone(chrome: Browser, stage: Scene) -> None:
    with visit(chrome, stage.address, OPERATOR, size=PHONE) as page:
        wide = {}
        for name, url in PAGES.items():
            page.goto(url(stage))
            width = page.evaluate("document.documentElement.scrollWidth")
            if width > PHONE[0]:
                wide[name] = width
    assert wide == {}
