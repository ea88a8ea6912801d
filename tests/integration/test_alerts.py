"""Alerts: raised once, kept until they have arrived, signed, and silent about what is none of their business."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone

from consumers.alerts import AlertMessage, alert, deliver_due, raise_alert
from consumers.alerts.delivery import ATTEMPTS, pause_after
from consumers.alerts.signing import sign, verify
from consumers.alerts.stopping import flood_told
from consumers.core.errors import Flood, Misconfigured
from consumers.inbox.ending import end_pending
from consumers.models import Alert, AlertDelivery, FailedRecord
from consumers.reporting import judging
from consumers.reporting.judging import judge
from consumers.settings import engine_settings
from tests.integration.inbox import fail, group, records, taken_up
from tests.webhook import Receiver, receiving

pytestmark = pytest.mark.django_db

SECRET = "shared secret"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def configured(settings: Any) -> Callable[..., None]:
    def configure(**policy: Any) -> None:
        settings.CONSUMERS = settings.CONSUMERS | {"alerts": policy}

    return configure


@pytest.fixture
def heard() -> Iterator[list[AlertMessage]]:
    """What the signal has told."""
    messages: list[AlertMessage] = []

    def listen(sender: object, alert: AlertMessage, **kwargs: object) -> None:
        messages.append(alert)

    alert.connect(listen)
    yield messages
    alert.disconnect(listen)


def states(channel: str) -> list[tuple[str, int]]:
    return list(AlertDelivery.objects.filter(channel=channel).values_list("state", "attempts"))


def let_time_pass(seconds: float) -> None:
    for delivery in AlertDelivery.objects.all():
        delivery.next_at -= timedelta(seconds=seconds)
        delivery.save()


# ---- what is told of ------------------------------------------------------------------------------------------------


def test_a_new_kind_of_failure_is_told_once_however_often_it_fails(heard: list[AlertMessage]) -> None:
    fail(3, message="name 7 is bad")
    taken_up()
    fail(3)
    taken_up()
    deliver_due()
    (told,) = heard
    assert (told.kind, told.title) == ("new_group", "New failure: bad_name in inbox-test")
    assert told.url.endswith(f"/admin/consumers/failuregroup/{group().pk}/change/")
    assert "3 pending" in told.detail


def test_a_failure_that_comes_back_is_told_again_but_not_within_the_cool_down(heard: list[AlertMessage]) -> None:
    for _ in range(3):
        fail()
        taken_up()
        end_pending(records(), FailedRecord.Status.RESOLVED, by="test")
        taken_up()
    deliver_due()
    assert [told.kind for told in heard] == ["new_group", "regression"]
    Alert.objects.update(at=timezone.now() - timedelta(hours=2))
    fail()
    taken_up()
    deliver_due()
    assert [told.kind for told in heard] == ["new_group", "regression", "regression"]


def test_what_is_archived_is_not_told(heard: list[AlertMessage]) -> None:
    fail()
    one = group()
    Alert.objects.all().delete()
    one.status = "archived"
    one.save()
    fail(100)
    taken_up()
    assert not Alert.objects.exists()


def test_many_new_kinds_at_once_are_one_alert(heard: list[AlertMessage]) -> None:
    for kind in range(30):
        fail(kind=kind, reason=f"reason_{kind}")
    taken_up()
    deliver_due()
    (told,) = heard
    assert told.title == "30 new kinds of failures"
    assert "reason_7" in told.detail


def test_an_alert_that_is_undone_with_its_transaction_was_never_raised() -> None:
    with transaction.atomic():
        raise_alert("lag", key="k", title="t")
        transaction.set_rollback(True)
    assert not Alert.objects.exists()


def test_kinds_that_nobody_wants_to_hear_of_are_not_kept(configured: Callable[..., None]) -> None:
    configured(kinds=["regression"])
    fail()
    taken_up()
    assert not Alert.objects.exists()


def test_a_flood_stop_is_told_by_the_process_that_it_stops(heard: list[AlertMessage]) -> None:
    text = "flood guard: 2000 records in a row failed on ads.clicks; nothing of this chunk is settled."
    with pytest.raises(BaseExceptionGroup), flood_told("default"):
        raise BaseExceptionGroup("scope", [ValueError("another"), Flood(text)])
    (told,) = heard
    assert (told.kind, told.title, told.detail) == ("flood", "Flood stop: ads.clicks is not consumed any more", text)


def test_another_error_is_no_flood_stop() -> None:
    with pytest.raises(ValueError, match="another"), flood_told("default"):
        raise ValueError("another")
    assert not Alert.objects.exists()


# ---- lag and stall --------------------------------------------------------------------------------------------------


def report(at: float, lag: int, *, settled_age: float | None = 0.0, **consumer: Any) -> Any:
    partition = SimpleNamespace(topic="orders", partition=3, lag=lag, operator_paused=consumer.pop("paused", False))
    given = {"name": "orders", "group": "g", "state": "running", "stands_still": 0.0, "holding": "",
             "broker": ""}  # fmt: skip
    one = SimpleNamespace(partitions=[partition], settled_age=settled_age, **(given | consumer))
    return SimpleNamespace(at=at, host="host-1", consumers=[one])


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    judging._behind_since.clear()


def kinds() -> list[str]:
    return list(Alert.objects.order_by("id").values_list("kind", flat=True))


def test_lag_over_the_threshold_is_told_once(configured: Callable[..., None]) -> None:
    configured(lag=1_000)
    assert judge(report(0, 1_000)) == 0
    assert judge(report(5, 1_001)) == 1
    assert judge(report(10, 5_000)) == 0
    told = Alert.objects.get()
    assert told.title == "orders is 1,001 records behind"
    assert "orders[3] 1,001" in told.detail


def test_without_a_threshold_no_lag_is_too_much() -> None:
    assert judge(report(0, 10**12)) == 0


def test_a_consumer_that_has_lag_and_settles_nothing_is_told(configured: Callable[..., None]) -> None:
    configured(stall=60)
    assert judge(report(0, 5, settled_age=10)) == 0
    assert judge(report(60, 5, settled_age=70)) == 0
    assert judge(report(61, 5, settled_age=71, holding="lane 1: the database is away")) == 1
    assert "An outage of the database holds it up: lane 1: the database is away" in Alert.objects.get().detail


def test_a_stall_for_want_of_the_broker_is_told_with_that(configured: Callable[..., None]) -> None:
    configured(stall=60)
    assert judge(report(0, 5, settled_age=10, broker="broker-1: refused")) == 0
    assert judge(report(61, 5, settled_age=71, broker="broker-1: refused")) == 1
    detail = Alert.objects.get().detail
    assert "The broker does not answer: broker-1: refused" in detail
    assert "database" not in detail


def test_a_consumer_that_settles_is_not_told_however_long_it_is_behind(configured: Callable[..., None]) -> None:
    configured(stall=60)
    assert sum(judge(report(at, 5, settled_age=3)) for at in range(0, 600, 5)) == 0


def test_records_that_come_after_a_quiet_night_are_no_stall(configured: Callable[..., None]) -> None:
    configured(stall=60)
    assert judge(report(0, 0, settled_age=30_000)) == 0
    assert judge(report(5, 40, settled_age=30_005)) == 0


def test_a_chunk_that_stands_still_is_a_stall_though_the_lag_is_not_known(configured: Callable[..., None]) -> None:
    configured(stall=60)
    assert judge(report(0, 0, stands_still=61)) == 1


@pytest.mark.parametrize("consumer", [{"paused": True}, {"state": "draining"}])
def test_what_an_operator_has_stopped_is_no_trouble(configured: Callable[..., None], consumer: dict[str, Any]) -> None:
    configured(stall=60, lag=1)
    assert sum(judge(report(at, 500, settled_age=at, **consumer)) for at in (0, 100)) == 0


# ---- delivery -------------------------------------------------------------------------------------------------------


def test_the_webhook_gets_signed_json(receiver: Receiver, configured: Callable[..., None]) -> None:
    configured(webhook=receiver.url, webhook_secret=SECRET, site="https://ops.example.org/")
    raise_alert("lag", key="k", title="too late", detail="by far", path="/admin/x/")
    assert deliver_due() == 2
    ((headers, body),) = receiver.posts
    assert json.loads(body) == {
        "id": Alert.objects.get().pk,
        "kind": "lag",
        "title": "too late",
        "detail": "by far",
        "url": "https://ops.example.org/admin/x/",
        "at": Alert.objects.get().at.isoformat(),
    }
    stamp, signature = int(headers["X-Consumers-Timestamp"]), headers["X-Consumers-Signature"]
    assert verify(SECRET, stamp, body, signature, now=time.time())
    assert not verify("another secret", stamp, body, signature, now=time.time())
    assert not verify(SECRET, stamp, body + b" ", signature, now=time.time())
    assert not verify(SECRET, stamp + 1, body, signature, now=time.time())
    assert not verify(SECRET, stamp, body, signature, now=time.time() + 301)
    assert headers["Content-Type"] == "application/json"


def test_a_signature_is_what_the_documentation_says() -> None:
    # printf '1.{}' | openssl dgst -sha256 -hmac s
    by_openssl = "b253639bcd705ed1cda3073f66104f16988bd40272584dea7d0d345ae93e61cc"
    assert sign("s", 1, b"{}") == f"v1={by_openssl}"


def test_a_webhook_that_fails_is_tried_again_later_and_then_arrives_once(
    receiver: Receiver, configured: Callable[..., None]
) -> None:
    receiver.answers = [500, 503, 204]
    configured(webhook=receiver.url, webhook_secret=SECRET)
    raise_alert("lag", key="k", title="t")
    deliver_due()
    assert states("webhook") == [("waiting", 1)]
    assert deliver_due() == 0  # it is not due yet
    assert len(receiver.posts) == 1
    for _ in range(4):
        let_time_pass(100)
        deliver_due()
    assert states("webhook") == [("sent", 3)]
    assert len(receiver.posts) == 3


def test_an_alert_is_given_up_after_so_many_attempts(receiver: Receiver, configured: Callable[..., None]) -> None:
    receiver.answers = [500]
    configured(webhook=receiver.url, webhook_secret=SECRET)
    raise_alert("lag", key="k", title="t")
    for _ in range(ATTEMPTS + 3):
        deliver_due()
        let_time_pass(10_000)
    assert states("webhook") == [("given_up", ATTEMPTS)]
    assert len(receiver.posts) == ATTEMPTS


def test_the_pauses_grow_and_have_a_bound() -> None:
    assert [pause_after(n) for n in (1, 2, 3, 9, 50)] == [10, 20, 40, 2_560, 3_600]


def test_a_redirect_is_not_followed(receiver: Receiver, configured: Callable[..., None]) -> None:
    receiver.answers = [302]
    configured(webhook=receiver.url, webhook_secret=SECRET)
    raise_alert("lag", key="k", title="t")
    deliver_due()
    assert len(receiver.posts) == 1
    assert states("webhook") == [("waiting", 1)]


def test_nobody_there_is_noted_without_address_or_secret(configured: Callable[..., None]) -> None:
    configured(webhook="http://127.0.0.1:9/hook?token=verysecret", webhook_secret=SECRET)
    raise_alert("lag", key="k", title="t")
    deliver_due()
    error = AlertDelivery.objects.get(channel="webhook").error
    assert "can't be reached" in error
    assert "verysecret" not in error
    assert SECRET not in error


def test_an_alert_that_a_process_took_and_did_not_deliver_is_due_again(
    receiver: Receiver, configured: Callable[..., None]
) -> None:
    from consumers.alerts import delivery

    configured(webhook=receiver.url, webhook_secret=SECRET)
    raise_alert("lag", key="k", title="t")
    policy = engine_settings().alert_policy()
    while delivery._take(policy, "default"):  # and the process dies
        pass
    assert deliver_due() == 0
    let_time_pass(100)
    assert deliver_due() == 2
    assert len(receiver.posts) == 1


def test_an_alert_is_mailed(configured: Callable[..., None]) -> None:
    configured(emails=["ops@example.org"], site="https://ops.example.org")
    raise_alert("lag", key="k", title="two\nlines", detail="by far", path="/admin/x/")
    deliver_due()
    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["ops@example.org"], "[lag] two lines")
    assert "by far" in sent.body
    assert "https://ops.example.org/admin/x/" in sent.body


def test_what_cannot_be_seen_is_written_out_in_a_mail(configured: Callable[..., None]) -> None:
    configured(emails=["ops@example.org"])
    raise_alert("lag", key="k", title="paid \u202e\x1b[2J \u200bé", detail="one\ttwo\nthree \u2066\x07\r")
    deliver_due()
    (sent,) = mail.outbox
    assert sent.subject == r"[lag] paid \u202e\x1b[2J \u200bé"
    assert sent.body.startswith("paid \\u202e\\x1b[2J \\u200bé\n\none\ttwo\nthree \\u2066\\x07\\x0d\n\n")


def test_a_mail_server_that_is_away_is_tried_again(configured: Callable[..., None], settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    configured(emails=["ops@example.org"])
    raise_alert("lag", key="k", title="t")
    deliver_due()
    assert states("email") == [("waiting", 1)]


def test_a_receiver_of_the_signal_that_fails_stops_nothing(heard: list[AlertMessage]) -> None:
    def fail_at_it(**kwargs: object) -> None:
        raise ValueError("receiver")

    alert.connect(fail_at_it)
    try:
        raise_alert("lag", key="k", title="t")
        assert deliver_due() == 1
    finally:
        alert.disconnect(fail_at_it)
    assert len(heard) == 1


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"kinds": ["flod"]}, "unknown kinds"),
        ({"emails": "ops@example.org"}, "must be a list"),
        ({"webhook": "ftp://example.org", "webhook_secret": "s"}, "webhook must begin with https://"),
        ({"webhook": "https://example.org"}, "needs a webhook_secret"),
        ({"site": "ops.example.org"}, "site must begin with"),
        ({"web_hook": "x"}, "alerts must have keys among"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(
    configured: Callable[..., None], policy: dict[str, Any], said: str
) -> None:
    configured(**policy)
    with pytest.raises(Misconfigured, match=said):
        engine_settings().alert_policy()


def test_secrets_are_not_in_the_policys_text(configured: Callable[..., None]) -> None:
    configured(webhook="https://example.org/verysecret", webhook_secret=SECRET)
    text = repr(engine_settings().alert_policy())
    assert SECRET not in text
    assert "verysecret" not in text
