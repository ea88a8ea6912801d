"""The ceiling: the same rows, read and decoded beforehand, by COPY straight into the same table.

Nothing is left between the rows and PostgreSQL, and nothing is checked: a key that exists ends it. Chunks are sorted by
key, as the engine's are.

Usage: python -m benchmarks.contenders.limit TOPIC GROUP RECORDS CHUNK CONNECTIONS
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
from confluent_kafka import Consumer

from benchmarks.contenders.hand import COPY, campaign_columns, copy_text, decode


def main(topic: str, group: str, records: int, chunk: int, connections: int) -> None:
    chunks = read_chunks(topic, group, records, chunk)
    with ThreadPoolExecutor(connections) as writers:
        for writing in [writers.submit(write, chunks[number::connections]) for number in range(connections)]:
            writing.result()


def read_chunks(topic: str, group: str, records: int, chunk: int) -> list[bytes]:
    """All of the topic, as COPY text."""
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": group,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    campaigns, chunks, done = campaign_columns(), [], 0
    while done < records:
        values = [value for message in consumer.consume(chunk, timeout=1.0) if (value := message.value())]
        events = sorted(decode(b"[" + b",".join(values) + b"]"), key=lambda event: event.event_id)
        if events:
            chunks.append(copy_text(events, campaigns).encode())
        done += len(events)
    consumer.close()
    return chunks


def write(chunks: Sequence[bytes]) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        for text in chunks:
            with cursor.copy(COPY.format("ads_click")) as copy:
                copy.write(text)
            connection.commit()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
