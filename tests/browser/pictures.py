"""The pictures of docs/operations.md: each page at a desk, in the dark, and on a phone.

Usage: python -m tests.browser.pictures [SECONDS]; SECONDS of traffic come first, so that the charts show something.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page

from devstack import stack
from devstack.addresses import state_folder
from tests.browser.chromium import DESK, INSTALL, PHONE, Scheme, browser, chromium, visit
from tests.browser.scene import OPERATOR, Scene, scene
from tests.e2e.conftest import made_site, template_database
from tests.e2e.harness import CHECKOUT

FOLDER = CHECKOUT / "docs" / "pictures"
TALLEST = 1_700
VARIANTS: dict[str, tuple[tuple[int, int], Scheme]] = {
    "light": (DESK, "light"),
    "dark": (DESK, "dark"),
    "phone": (PHONE, "light"),
}


def main(seconds: float) -> None:
    path = chromium()
    if path is None:
        sys.exit(INSTALL)
    servers = stack.current_addresses(state_folder(CHECKOUT))
    with (
        template_database(servers) as template,
        tempfile.TemporaryDirectory() as folder,
        made_site(servers, template, Path(folder)) as site,
        scene(site) as stage,
        browser(path) as chrome,
    ):
        traffic(stage, seconds)
        for variant in VARIANTS:
            take(chrome, stage, variant)


def traffic(stage: Scene, seconds: float) -> None:
    """Clicks in waves, some of them bad."""
    started, number = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        number += 1
        stage.send_clicks(400 + 300 * (number % 4), seed=100 + number, repeats=0.02, garbage=0.002, unknown=0.002)
        time.sleep(1)


def take(chrome: Browser, stage: Scene, variant: str) -> None:
    size, scheme = VARIANTS[variant]
    with visit(chrome, stage.address, OPERATOR, size=size, scheme=scheme) as page:
        for name, go in PAGES.items():
            go(page, stage)
            page.wait_for_load_state("networkidle")
            height = min(TALLEST, page.evaluate("document.documentElement.scrollHeight"))
            clip = {"x": 0, "y": 0, "width": size[0], "height": height}
            page.screenshot(
                path=FOLDER / f"{name}-{variant}.jpg",
                type="jpeg",
                quality=60,
                full_page=True,
                clip=clip,  # type: ignore[arg-type]
            )


def _inbox(page: Page, stage: Scene) -> None:
    page.goto("/admin/consumers/failuregroup/")


def _group(page: Page, stage: Scene) -> None:
    page.goto(stage.url_of("unknown_campaign"))


def _failure(page: Page, stage: Scene) -> None:
    number = stage.site.one("SELECT min(id) FROM consumers_failedrecord WHERE reason = 'invalid'")
    page.goto(f"/admin/consumers/failedrecord/{number}/change/")


def _edit(page: Page, stage: Scene) -> None:
    _failure(page, stage)
    page.get_by_role("link", name="Edit and retry").click()
    page.get_by_label("occurred_at").fill('"2026-11-20T10:00:00Z"')
    page.get_by_label(re.compile("^(Why|Reason)")).fill("the sender's clock was broken")
    page.get_by_role("button", name="Check and show what changes").click()


def _start(page: Page, stage: Scene) -> None:
    _group(page, stage)
    page.get_by_role("button", name="Retry group").click()
    page.get_by_role("button", name="Dry run").click()


def _run(page: Page, stage: Scene) -> None:
    """One that has done its work: the first call makes it."""
    if not stage.site.one("SELECT count(*) FROM consumers_retryrun"):
        stage.make_campaign()
        _start(page, stage)
        page.get_by_label("Reason").fill("the campaign is there now")
        page.get_by_role("button", name=re.compile("^Retry ")).click()
        page.locator('[data-run="state"]', has_text="done").wait_for(timeout=60_000)
    page.goto(f"/admin/consumers/retryrun/{stage.site.one('SELECT min(id) FROM consumers_retryrun')}/change/")


def _console(page: Page, stage: Scene) -> None:
    page.goto("/admin/consumers/worker/")
    page.locator("#console-charts canvas").first.wait_for()
    page.wait_for_timeout(1_000)


PAGES: dict[str, Callable[[Page, Scene], None]] = {
    "inbox": _inbox,
    "group": _group,
    "failure": _failure,
    "edit": _edit,
    "start-run": _start,
    "run": _run,
    "console": _console,
}

if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 120)
