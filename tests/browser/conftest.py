"""A browser, and the scene that all tests of this folder play in. They change it, each in a corner of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from devstack.addresses import Addresses
from tests.browser.chromium import INSTALL, browser, chromium, visit
from tests.browser.scene import OPERATOR, Scene, scene
from tests.e2e.conftest import made_site, servers, template

__all__ = ["servers", "template"]


@pytest.fixture(scope="session")
def path() -> str:
    """Where Chromium is."""
    found = chromium()
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(INSTALL)
    return found


@pytest.fixture
def chrome(path: str) -> Iterator[Browser]:
    """For one test only: while Playwright is at work its event loop is this thread's, and the ORM refuses to run."""
    with browser(path) as launched:
        yield launched


@pytest.fixture(scope="session")
def stage(servers: Addresses, template: str, path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("browser")
    with made_site(servers, template, folder) as site, scene(site) as made:
        yield made


@pytest.fixture
def page(chrome: Browser, stage: Scene) -> Iterator[Page]:
    """A desk's page, logged in as somebody who may do everything."""
    with visit(chrome, stage.address, OPERATOR) as page:
        yield page
