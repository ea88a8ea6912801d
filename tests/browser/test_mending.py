"""An operator mends failures: finds what fails, reads one, edits it, retries the others."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.scene import BAD_TIMES, OPERATOR, UNKNOWN, Scene
from tests.e2e.harness import wait_until


def test_a_failure_is_found_read_edited_and_retried(page: Page, stage: Scene) -> None:
    page.get_by_role("link", name="Failure groups").first.click()
    page.locator("#result_list").get_by_role("link", name=re.compile("^invalid")).click()
    expect(page.get_by_role("heading", name="An example")).to_be_visible()
    page.locator("section", has=page.get_by_role("heading", name="An example")).get_by_role("link").first.click()

    value = page.locator("#failures-value")
    expect(value).to_contain_text("The error is about occurred_at")
    expect(value.locator("mark")).to_contain_text("yesterday")
    expect(value).to_contain_text('"ip": "[redacted]"')
    record = page.url

    page.get_by_role("link", name="Edit and retry").click()
    page.get_by_label("occurred_at").fill('"tomorrow"')
    page.get_by_label(re.compile("^(Why|Reason)")).fill("the sender's clock was broken")
    page.get_by_role("button", name="Check and show what changes").click()
    expect(page.locator(".errornote")).to_contain_text("The consumer would refuse this")

    page.get_by_label("occurred_at").fill('"2026-11-20T10:00:00Z"')
    page.get_by_role("button", name="Check and show what changes").click()
    expect(page.get_by_role("heading", name="What changes")).to_be_visible()
    expect(page.locator("section", has_text="What changes")).to_contain_text("2026-11-20T10:00:00Z")
    page.get_by_role("button", name="Store the edit and retry").click()

    page.goto(record)
    expect(page.locator(".failures-status")).to_have_text("resolved")
    expect(page.locator("#failures-edits")).to_contain_text(OPERATOR)
    expect(page.locator("#failures-value")).to_contain_text("yesterday")
    assert stage.site.one("SELECT count(*) FROM ads_click WHERE occurred_at = '2026-11-20T10:00:00Z'") == 1
    assert stage.site.failures()["invalid"] == BAD_TIMES - 1


def test_a_group_is_retried_as_a_run_with_progress(page: Page, stage: Scene) -> None:
    clicks = stage.site.one("SELECT count(*) FROM ads_click")
    page.goto(stage.url_of("unknown_campaign"))
    page.get_by_role("button", name="Retry group").click()
    page.get_by_role("button", name="Dry run").click()
    trial = page.locator("#mending-trial")
    expect(trial).to_contain_text("would fail again: unknown_campaign")

    with stage.nobody_watching():
        stage.make_campaign()
        # They wait for their campaign, and the watch would be quicker than the run.
        stage.site.query("UPDATE consumers_failedrecord SET waits_for = ''")
        page.get_by_role("button", name="Dry run").click()
        expect(trial).to_contain_text("would be written")
        assert stage.site.failures()["unknown_campaign"] == UNKNOWN

        page.get_by_label("Reason").fill("the campaign is there now")
        page.get_by_role("button", name=re.compile("^Retry ")).click()
        expect(page.locator("#mending-run")).to_contain_text("Waiting for a worker")
    run = page.locator("#mending-run")
    expect(run.locator('[data-run="state"]')).to_have_text("done", timeout=60_000)
    expect(run.locator('[data-run="left"]')).to_have_text("0")
    expect(run.locator('[data-run="succeeded"]')).to_have_text(str(UNKNOWN))
    assert stage.site.one("SELECT count(*) FROM ads_click") == clicks + UNKNOWN

    page.goto(stage.url_of("unknown_campaign"))
    expect(page.locator(".inbox-status, .failures-status, [class*=inbox-badge]").first).to_have_text("resolved")


def test_what_fails_again_after_being_resolved_came_back(page: Page, stage: Scene) -> None:
    page.goto(stage.url_of("undecodable"))
    page.get_by_role("button", name="Mark resolved").click()
    expect(page.locator("body")).to_contain_text("resolved")
    stage.site.send("ads.clicks", [b"\x00<script>alert(6)</script>"])
    regressed = "SELECT count(*) FROM consumers_failuregroup WHERE status = 'regressed'"

    def came_back() -> bool:
        page.goto("/admin/consumers/failuregroup/")
        return bool(stage.site.one(regressed))

    wait_until(came_back, "the group to come back")
    page.reload()  # it may have been counted a moment after the page was made
    expect(page.locator("#result_list tr", has_text="undecodable")).to_contain_text("came back")


def test_a_failure_is_only_text_to_the_page(page: Page, stage: Scene) -> None:
    page.goto(stage.url_of("undecodable"))
    page.get_by_role("link", name=re.compile("all its failed records")).click()
    page.locator("#result_list tbody th a").first.click()
    page.get_by_role("button", name="Reveal what is redacted").click()
    expect(page.locator("#failures-value")).to_contain_text("<script>alert(")
    assert page.locator("#failures-value script").count() == 0
