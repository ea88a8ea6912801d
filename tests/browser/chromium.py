"""Where Chromium is, and what a person at it needs: a page that is logged in and that complains of nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL = "no Chromium on this machine. On Debian and Ubuntu: apt install chromium; elsewhere set CHROMIUM to its path"
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
"""It is to talk to our server alone."""
DESK, PHONE = (1280, 900), (390, 844)
Scheme = Literal["light", "dark"]


def chromium() -> str | None:
    """The path of the browser, if there is one."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browser(path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Run by root, as in a container, Chromium refuses its sandbox.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        launched = playwright.chromium.launch(executable_path=path, args=[*QUIET, *sandbox])
        try:
            yield launched
        finally:
            launched.close()


@contextmanager
def visit(
    browser: Browser,
    address: str,
    user: str,
    *,
    size: tuple[int, int] = DESK,
    scheme: Scheme = "light",
    bypass_csp: bool = False,
) -> Iterator[Page]:
    """A page at the admin's index, logged in. At the end of the block it must have met no error of a script and
    nothing that the content security policy forbids. `bypass_csp` is for tools that bring styles of their own."""
    context = browser.new_context(
        base_url=address,
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        reduced_motion="reduce",
        bypass_csp=bypass_csp,
    )
    context.set_default_timeout(20_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(_told(said)) if said.type == "error" else None)
    try:
        page.goto("/admin/")
        page.get_by_label("Username").fill(user)
        page.get_by_label("Password").fill(user)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/admin/")
        yield page
        assert bypass_csp or not complaints, "\n".join(complaints)
    finally:
        context.close()


def _told(said: ConsoleMessage) -> str:
    return f"{said.text} ({said.location.get('url')})"
