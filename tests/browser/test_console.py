"""An operator at the live console, while a consumer runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.chromium import PHONE, visit
from tests.browser.scene import OPERATOR, Scene
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


LOADED = """
INSERT INTO consumers_worker (id, host, pid, version, consumers, groups, started_at, seen_at, state, why, report)
SELECT gen_random_uuid(), 'consumer-clicks-7d9c5b8f6d-x2k4q', 31415, '2026.11.24-3f2a9c1',
       '["clicks", "impressions", "payments"]', groups, now() - interval '3 days 4 hours', now(), 'running', '',
       report || %s
FROM consumers_worker WHERE state = 'running' LIMIT 1
RETURNING id::text
"""
SAID = {
    "limiter": {"limit": 12, "floor": 10, "ceiling": 16, "writing": 12, "waiting": 4,
                "last_move": "writers at once 16 to 12: 3 of 4 active backends wait for locks"},
    "pool": {"size": 20, "max": 20, "in_use": 20, "waiting": 13},
    "rss": 1_234_567_890,
}  # fmt: skip


@contextmanager
def loaded_worker(stage: Scene) -> Iterator[str]:
    """While the block lasts there is a worker whose line says as much as one can; gives its id."""
    wait_until(lambda: stage.site.query("SELECT 1 FROM consumers_worker WHERE state = 'running'"), "a worker")
    number = stage.site.one(LOADED, json.dumps(SAID))
    try:
        yield number
    finally:
        stage.site.query("DELETE FROM consumers_worker WHERE id = %s", number)


def test_a_workers_line_has_room_at_a_desk_with_all_that_it_can_say(page: Page, stage: Scene) -> None:
    with loaded_worker(stage) as number:
        page.goto(CONSOLE)
        box = page.locator("#console-workers .console-scroll")
        assert box.evaluate("box => box.scrollWidth - box.clientWidth") == 0
        edge = box.evaluate("box => box.getBoundingClientRect().right")
        for order in ("drain", "dump"):
            page.wait_for_selector(f"#{order}-{number}")
            # At one go: the page renews its lines, and one that was replaced meanwhile lies nowhere.
            right = page.evaluate(f"document.getElementById('{order}-{number}').getBoundingClientRect().right")
            assert 0 < right < edge


def test_on_a_phone_the_table_of_workers_is_scrolled_while_what_is_said_of_a_worker_stays(
    chrome: Browser, stage: Scene
) -> None:
    with loaded_worker(stage) as number, visit(chrome, stage.address, OPERATOR, size=PHONE) as page:
        page.goto(CONSOLE)
        expect(page.locator("#console-status")).to_contain_text("Live")
        page.get_by_role("button", name="Pause updates").click()
        box, order = page.locator("#console-workers .console-scroll"), page.locator(f"#dump-{number}")
        order.evaluate("act => act.scrollIntoView({inline: 'end'})")
        assert box.evaluate("box => box.scrollLeft") > 0
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
        for each in (order, page.locator("#console-workers").get_by_text("writers at once 16 to 12")):
            sides = each.evaluate("each => [each.getBoundingClientRect().left, each.getBoundingClientRect().right]")
            assert 0 <= sides[0] < sides[1] <= PHONE[0]
