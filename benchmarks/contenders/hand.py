"""The strongest short program for clicks without any framework, for a team that knows PostgreSQL well.

Big batches decoded in one call, rows as COPY text by one f-string each, two writing threads with a temporary stage.
No validation, no ledger, no failures: one bad record kills it, as does a tab or a backslash in a text, and offsets are
committed whether or not the rows were. It shows what the engine's comforts cost.

Usage: python -m benchmarks.contenders.hand TOPIC GROUP RECORDS
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from threading import local

import msgspec
import psycopg
from confluent_kafka import Consumer

BATCH = 4_000
WRITERS = 2
STAGE = "CREATE TEMP TABLE stage (LIKE ads_click) ON COMMIT DELETE ROWS"
COPY = (
    "COPY {} (event_id, campaign_id, occurred_at, ip, user_agent, url, impression_id, user_id, advertiser_id, cost,"
    " billable, received_at) FROM STDIN"
)
INSERT = "INSERT INTO ads_click SELECT * FROM stage ORDER BY event_id ON CONFLICT DO NOTHING"
CAMPAIGNS = """
    SELECT campaign.id, campaign.advertiser_id, campaign.bid, campaign.is_active AND advertiser.is_active
    FROM ads_campaign AS campaign JOIN ads_advertiser AS advertiser ON advertiser.id = campaign.advertiser_id
"""


class Event(msgspec.Struct, gc=False):
    """Texts stay texts: PostgreSQL reads them anyway."""

    event_id: str
    campaign_id: int
    occurred_at: str
    ip: str
    user_agent: str
    url: str
    impression_id: str | None = None
    user_id: str | None = None


decode = msgspec.json.Decoder(list[Event]).decode
mine = local()


def main(topic: str, group: str, records: int) -> None:
    campaigns = campaign_columns()
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": group,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    done = 0
    writing: list[Future[None]] = []
    with ThreadPoolExecutor(WRITERS) as writers:
        while done < records:
            values = [value for message in consumer.consume(BATCH, timeout=0.1) if (value := message.value())]
            if values:
                writing.append(writers.submit(write, copy_text(decode(b"[" + b",".join(values) + b"]"), campaigns)))
                done += len(values)
            if len(writing) > WRITERS:
                writing.pop(0).result()
        for each in writing:
            each.result()
    consumer.close()


def campaign_columns() -> dict[int, str]:
    """By campaign, the columns of a click that are the campaign's."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        rows = connection.execute(CAMPAIGNS).fetchall()
    return {number: f"{advertiser}\t{bid}\t{'t' if active else 'f'}" for number, advertiser, bid, active in rows}


def copy_text(events: Sequence[Event], campaigns: Mapping[int, str]) -> str:
    now = datetime.now(UTC).isoformat()
    return "".join(
        [
            f"{e.event_id}\t{e.campaign_id}\t{e.occurred_at}\t{e.ip}\t{e.user_agent}\t{e.url}\t"
            f"{e.impression_id or NULL}\t{e.user_id or ''}\t{campaigns[e.campaign_id]}\t{now}\n"
            for e in events
        ]
    )


NULL = r"\N"


def write(text: str) -> None:
    connection = own_connection()
    with connection.transaction(), connection.cursor() as cursor:
        with cursor.copy(COPY.format("stage")) as copy:
            copy.write(text)
        cursor.execute(INSERT)


def own_connection() -> psycopg.Connection[tuple[object, ...]]:
    """One for each writing thread."""
    if not hasattr(mine, "connection"):
        mine.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
        mine.connection.execute(STAGE)
    connection: psycopg.Connection[tuple[object, ...]] = mine.connection
    return connection


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
