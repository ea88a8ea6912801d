"""How the sample is made from the public tables."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from demo import build_payments
from demo.build_ads import bandit_campaigns, bandit_events, read_bandit
from demo.build_payments import payment, retail_advertisers, retail_events, retail_invoices
from demo.build_sample import ADS_FOLDER, RETAIL_FILE, bandit_files, build, main

BANDIT_HEAD = "," + ",".join(["timestamp", "item_id", "position", "click", "propensity_score"])
BANDIT_HEAD += "," + ",".join(f"user_feature_{number}" for number in range(4))
USER = ",".join(letter * 32 for letter in "abcd")
RETAIL_HEAD = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def shown(number: int, *, item: int = 4, click: int = 0, minute: int = 0) -> dict[str, str]:
    at = f"2019-11-24 00:{minute:02}:17.004101+00:00"
    values = [str(number), at, str(item), "2", str(click), "0.1", *USER.split(",")]
    return dict(zip(BANDIT_HEAD.split(","), values, strict=True))


def line(number: str, quantity: int = 1, price: str = "1.10", **changes: str) -> dict[str, str]:
    values = [number, "X", "thing", str(quantity), "2011-05-02 10:00:00", price, "17850.0", "Norway"]
    return dict(zip(RETAIL_HEAD.split(","), values, strict=True)) | changes


def test_every_clicked_row_is_kept_and_of_the_others_every_second() -> None:
    rows = [shown(number, click=int(number == 3), minute=number) for number in range(6)]

    impressions, clicks = bandit_events(read_bandit({"bts_men": rows}))

    assert [event["occurred_at"][14:16] for event in impressions] == ["00", "02", "03", "04"]
    assert [event["impression_id"] for event in clicks] == [impressions[2]["event_id"]]


def test_rows_of_all_files_are_merged_in_the_order_of_time() -> None:
    tables = {"bts_men": [shown(0, minute=5)], "random_all": [shown(0, minute=1)]}

    assert [row.page for row in read_bandit(tables)] == ["all", "men"]


def test_a_campaign_is_an_item_of_a_page_from_its_first_day_to_its_last() -> None:
    log = read_bandit({"bts_men": [shown(0)], "bts_women": [shown(0)]})

    assert [(entry["id"], entry["advertiser_id"]) for entry in bandit_campaigns(log)] == [(2004, 2), (3004, 3)]
    assert {(entry["starts_on"], entry["ends_on"]) for entry in bandit_campaigns(log)} == {("2019-11-24", "2019-11-24")}


def test_an_invoice_is_the_sum_of_its_lines_in_the_time_of_london() -> None:
    (invoice,) = retail_invoices([line("1", 3, "0.10"), line("1", 2, "0.05", StockCode="Y")])

    assert invoice.total == Decimal("0.40")
    assert payment(invoice) == {
        "transaction_id": "1",
        "advertiser_id": 17850,
        "kind": "charge",
        "amount": "0.40",
        "currency": "GBP",
        "occurred_at": "2011-05-02T10:00:00+01:00",
        "reference": "Norway, 2 lines",
    }


def test_a_credit_note_is_a_refund_of_a_positive_amount() -> None:
    (invoice,) = retail_invoices([line("C1", -2, "1.25")])

    assert (payment(invoice)["kind"], payment(invoice)["amount"]) == ("refund", "2.50")


def test_a_missing_customer_stays_missing() -> None:
    (invoice,) = retail_invoices([line("1", CustomerID="")])

    assert "advertiser_id" not in payment(invoice)
    assert retail_advertisers([invoice]) == []


def test_an_invoice_with_doubled_lines_is_sent_twice_with_all_its_lines() -> None:
    events = list(retail_events(retail_invoices([line("1"), line("1"), line("2")])))

    assert [(event["transaction_id"], event["amount"]) for event in events] == [
        ("1", "2.20"),
        ("1", "2.20"),
        ("2", "1.10"),
    ]


def test_lines_that_lie_apart_make_two_payments_of_one_number() -> None:
    events = retail_events(retail_invoices([line("1"), line("2"), line("1", 5)]))

    assert [event["amount"] for event in events] == ["1.10", "1.10", "5.50"]


def test_customers_of_the_last_two_days_are_late() -> None:
    lines = [line("1"), line("2", CustomerID="5.0", InvoiceDate="2011-05-09 10:00:00")]

    assert [(entry["id"], entry.get("late")) for entry in retail_advertisers(retail_invoices(lines))] == [
        (5, True),
        (17850, None),
    ]


def test_no_more_than_the_first_invoices_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_payments, "INVOICES", 2)

    assert len(retail_invoices(line(str(number)) for number in range(5))) == 2


def write_table(path: Path, head: str, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join([head, *(",".join(row.values()) for row in rows)]) + "\n")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in bandit_files():
        rows = [shown(number, item=number, click=number % 2, minute=number) for number in range(4)]
        write_table(tmp_path / "source" / ADS_FOLDER / f"{name}.csv.gz", BANDIT_HEAD, rows)
    write_table(tmp_path / "source" / RETAIL_FILE, RETAIL_HEAD, [line("1"), line("C2", -1)])
    return tmp_path / "source"


def test_building_twice_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    targets = [tmp_path / "one", tmp_path / "two"]
    for target in targets:
        target.mkdir()
    counts = [build(source, target) for target in targets]

    assert counts[0] == counts[1]
    for name in counts[0]:
        assert (targets[0] / name).read_bytes() == (targets[1] / name).read_bytes()
    with gzip.open(targets[0] / "clicks.jsonl.gz") as file:
        clicks: list[Any] = [json.loads(text) for text in file]
    assert len(clicks) == counts[0]["clicks.jsonl.gz"] == 12


def test_a_missing_source_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["build_sample", str(tmp_path)])

    assert main() == 2
    assert "bts_all.csv.gz" in capsys.readouterr().err
