"""Records that wait for a row are processed when it comes, without an operator."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from ads.consumers import ClickConsumer
from ads.models import Advertiser, Campaign, Click
from consumers import release
from consumers.models import FailedRecord
from consumers.release import release_due
from consumers.reprocess import Selection
from consumers.settings import engine_settings
from consumers.watch import Watch
from payments.consumers import PaymentConsumer
from payments.models import Payment
from tests.integration.engine import consume, counts, failures
from tests.makers import click, payment

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def late(campaign: Campaign) -> Callable[[], Campaign]:
    """Three clicks of a campaign that is not there have failed; the function makes it."""
    assert counts(consume(ClickConsumer, *(click(77) for _ in range(3)), click(campaign))) == {
        "written": 1,
        "failed": 3,
    }
    assert set(failures("reason", "waits_for")) == {("unknown_campaign", "ads.campaign:77")}
    return lambda: Campaign(id=77, advertiser=campaign.advertiser, name="late", bid=Decimal("0.5"))


def settings_with(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    monkeypatch.setattr(release, "engine_settings", lambda: replace(engine_settings(), **changes))


def test_clicks_become_rows_when_their_campaign_is_saved(late: Callable[[], Campaign]) -> None:
    late().save()
    assert Click.objects.filter(campaign_id=77).count() == 3
    assert set(failures("status", "resolved_by", "attempts")) == {("resolved", "saving ads.campaign:77", 2)}


def test_payments_become_rows_when_their_advertiser_is_saved() -> None:
    consume(PaymentConsumer, payment(55))
    Advertiser.objects.create(id=55, name="late")
    assert Payment.objects.get().advertiser_id == 55


def test_nothing_happens_before_the_save_is_committed(late: Callable[[], Campaign]) -> None:
    with transaction.atomic():
        late().save()
        assert not Click.objects.filter(campaign_id=77).exists()
    assert Click.objects.filter(campaign_id=77).count() == 3


def test_a_save_that_is_rolled_back_releases_nothing(late: Callable[[], Campaign]) -> None:
    with transaction.atomic():
        late().save()
        transaction.set_rollback(True)
    assert set(failures("status", "retry_after")) == {("pending", None)}


def test_saving_another_campaign_releases_nothing(late: Callable[[], Campaign]) -> None:
    other = late()
    other.id = 78
    other.save()
    assert set(failures("status", "retry_after")) == {("pending", None)}


def test_a_save_processes_a_limited_number_and_leaves_the_others_due(
    late: Callable[[], Campaign], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_with(monkeypatch, release_on_save=2)
    late().save()
    assert sorted(failures("status")) == ["pending", "resolved", "resolved"]
    assert FailedRecord.objects.get(status="pending").retry_after is not None


def test_a_save_can_be_left_to_the_watch_alone(late: Callable[[], Campaign], monkeypatch: pytest.MonkeyPatch) -> None:
    settings_with(monkeypatch, release_on_save=0)
    late().save()
    assert set(failures("status")) == {"pending"}
    assert FailedRecord.objects.filter(retry_after=None).count() == 0


def test_a_campaign_that_another_tool_inserted_is_found(late: Callable[[], Campaign]) -> None:
    assert release_due("default") == 0
    Campaign.objects.bulk_create([late()])  # no signal
    assert release_due("default") == 3
    assert release_due("default") == 0


def test_what_waits_for_a_model_or_key_that_cannot_be_is_left_alone(late: Callable[[], Campaign]) -> None:
    late()
    for token in ("gone.model:1", "ads.campaign:x", "nonsense"):
        FailedRecord.objects.update(waits_for=token)
        assert release_due("default") == 0


def test_many_rows_that_are_waited_for_are_looked_up_in_pages(
    late: Callable[[], Campaign], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "_PAGE", 2)
    consume(PaymentConsumer, *(payment(number) for number in range(100, 105)))
    Campaign.objects.bulk_create([late()])
    Advertiser.objects.bulk_create([Advertiser(id=number, name="late") for number in range(100, 105)])
    assert release_due("default") == 8


def test_the_watch_processes_what_is_due_until_it_is_stopped(
    late: Callable[[], Campaign], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(Selection(), by="watch", interval=0.01)
    monkeypatch.setattr(watch, "_tell", lambda released, result: watch.stop() if result.attempted else None)
    Campaign.objects.bulk_create([late()])
    assert threading.current_thread() is threading.main_thread()
    result = watch.run()
    assert (result.attempted, result.resolved) == (3, 3)
    assert set(failures("resolved_by")) == {"watch"}
