"""An operator at the live console, while a consumer runs."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.scene import Scene
from tests.e2e.harness import wait_until

CONSOLE = "/admin/consumers/worker/"


def partition(page: Page, number: int) -> Locator:
    """The line of a partition."""
    return page.locator("#console-partitions tbody tr", has_text=f"ads.clicks[{number}]")


def lag(line: Locator) -> int:
    return int(line.locator("td").nth(1).inner_text().replace(",", ""))


def test_a_partition_is_paused_its_lag_grows_and_falls_again(page: Page, stage: Scene) -> None:
    page.goto(CONSOLE)
    line = partition(page, 5)
    expect(line).to_contain_text("active")
    line.get_by_role("link", name="Pause").click()
    page.get_by_label("Reason").fill("the pages that it is about are wrong")
    page.get_by_role("button", name=re.compile("Pause")).click()
    page.goto(CONSOLE)
    expect(line).to_contain_text("paused by olivia", timeout=30_000)
    expect(line.locator("td").first).to_contain_text("paused", timeout=30_000)

    stage.send_clicks(1_500, seed=3)
    wait_until(lambda: lag(line) > 0, "lag of the paused partition")
    expect(partition(page, 0).locator("td").nth(1)).to_have_text("0", timeout=30_000)

    stage.consumer.drain().ok()
    stage.start_consumer()
    expect(page.locator("#console-workers tbody tr", has_text="running")).to_have_count(1, timeout=60_000)
    expect(line.locator("td").first).to_contain_text("paused", timeout=60_000)
    assert lag(line) > 0

    line.get_by_role("button", name="Resume").click()
    page.goto(CONSOLE)
    expect(line.locator("td").nth(1)).to_have_text("0", timeout=60_000)
    expect(line.locator("td").first).to_have_text("active")


def test_a_worker_tells_what_it_is_doing(page: Page, stage: Scene) -> None:
    page.goto(CONSOLE)
    page.locator("#console-workers").get_by_role("link", name=re.compile("Dump stacks")).first.click()
    page.get_by_label("Reason").fill("curious")
    page.get_by_role("button", name=re.compile("[Dd]ump")).click()

    def replied() -> bool:
        page.reload()
        return page.locator("body", has_text="_settle_all").count() > 0

    page.goto(CONSOLE)
    page.locator("#console-orders").get_by_role("link").first.click()
    wait_until(replied, "the stacks")


def test_the_figures_follow_by_themselves_and_charts_are_drawn(page: Page, stage: Scene) -> None:
    page.goto(CONSOLE)
    expect(page.locator("#console-charts .u-wrap canvas")).to_have_count(4, timeout=30_000)
    before = page.locator("#console-status").inner_text()
    expect(page.locator("#console-status")).not_to_have_text(before, timeout=15_000)
    page.get_by_role("button", name="Pause updates").click()
    expect(page.locator("#console-hold")).to_have_attribute("aria-pressed", "true")
