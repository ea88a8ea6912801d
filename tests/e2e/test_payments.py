"""The effect that must happen exactly once: each balance is the sum of its payments."""

from __future__ import annotations

import json
import random
from collections import Counter

import msgspec
import pytest

from demo.lines import read_lines
from demo.samples import SAMPLES, seed
from tests.e2e.harness import Site

pytestmark = pytest.mark.e2e

STATIC = {"KAFKA_PROPERTIES": json.dumps({"group.instance.id": "one"})}
TOPIC = "payments.transactions"

WRONG_BALANCES = """
    SELECT advertiser_id, currency, balance.amount, total.amount
    FROM payments_balance AS balance FULL JOIN (
        SELECT advertiser_id, currency, sum(CASE kind WHEN 'charge' THEN amount ELSE -amount END) AS amount
        FROM payments_payment GROUP BY 1, 2
    ) AS total USING (advertiser_id, currency)
    WHERE balance.amount IS DISTINCT FROM total.amount
"""


def payment(number: int, **other: object) -> bytes:
    advertiser = seed("advertisers")[0]["id"]
    event = {"transaction_id": f"t{number}", "advertiser_id": advertiser, "kind": "charge", "amount": "10.25"}
    return msgspec.json.encode(event | {"currency": "EUR", "occurred_at": "2026-01-01T00:00:00Z"} | other)


def test_each_balance_of_the_sample_equals_the_sum_of_its_payments_also_after_kills(site: Site) -> None:
    values = list(read_lines(str(SAMPLES["payments"].path)))
    site.send(TOPIC, values)
    rng = random.Random(31)
    for records in sorted(rng.randrange(len(values) * 9 // 10) for _ in range(5)):
        consumer = site.consumer("payments", "--until-end", "--chunk-size", "250", **STATIC)
        site.settled(max(records, 1 + site.ledger()[0]))
        consumer.kill()
    site.consume("payments", **STATIC).ok()

    assert site.query(WRONG_BALANCES) == []
    assert site.one("SELECT count(*) FROM payments_balance") > 1_000
    received, written, duplicates, skipped, failed = site.ledger()
    assert received == len(values)
    assert written == site.one("SELECT count(*) FROM payments_payment")
    assert failed == site.one("SELECT count(*) FROM consumers_failedrecord")
    assert received == written + duplicates + skipped + failed

    calm = site.run("consume", "payments", "--group", f"{site.group}-again", "--until-end", "--json").ok()
    assert calm.counts == (received, 0, written + duplicates, 0, failed)
    assert site.query(WRONG_BALANCES) == []


def test_a_payment_sent_again_changes_no_balance_and_with_other_content_it_fails_as_a_conflict(site: Site) -> None:
    site.send(TOPIC, [payment(1), payment(2, kind="refund", amount="0.25"), payment(1)], key=b"one")
    site.send(TOPIC, [payment(1, amount="99"), payment(2, kind="refund", amount="0.2500")], key=b"one")
    assert site.consume("payments").ok().counts == (5, 2, 2, 0, 1)
    assert str(site.one("SELECT amount FROM payments_balance")) == "10.0000"
    assert Counter(site.failures()) == {"conflict": 1}
