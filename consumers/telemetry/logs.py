"""Formatters for logs: one JSON object a line for machines, and lines for people that no payload can break.

Keys of the JSON lines, always: `ts` (RFC 3339, UTC, milliseconds), `level`, `logger`, `msg`, `host`, `pid`. Where they
make sense: `consumer`, `group`; of a settled chunk, of which there is one line each: `received`, `written`,
`duplicates`, `skipped`, `failed` (records), `ms`, `spans` (topic, partition, first and last offset of each), and with
a single span its `topic` and `partition` beside; of an error: `exception` (the class) and `traceback`.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from datetime import UTC, datetime
from typing import Any

from consumers.core.printable import printable

KEYS = ("consumer", "group", "received", "written", "duplicates", "skipped", "failed", "ms", "topic", "partition")
"""What a log call may hand on in its `extra`, beside `spans`."""

_LONGEST = 16 * 1024
"""Characters that are kept of a message; of a traceback twice as many, the last ones."""


class LineFormatter(logging.Formatter):
    """The usual line. What cannot be seen in a message is written out, and further lines of it are indented: none can
    pass for a line of the log, or reach the terminal as a command."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = printable(record.message, keep="\n\t").replace("\n", "\n    ")
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return printable(super().formatException(ei), keep="\n\t").replace("\n", "\n    ")


class JsonFormatter(logging.Formatter):
    """One JSON object a line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "msg": record.getMessage()[:_LONGEST],
            "host": _HOST,
            "pid": os.getpid(),
        }
        line.update({key: getattr(record, key) for key in KEYS if hasattr(record, key)})
        line.update(_places(getattr(record, "spans", {})))
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
            line["traceback"] = self.formatException(record.exc_info)[-2 * _LONGEST :]
        return json.dumps(line, default=str)


def _places(spans: Any) -> dict[str, Any]:
    """Of a mapping of (topic, partition) to (start, end)."""
    places = [
        {"topic": topic, "partition": partition, "first": start, "last": end - 1}
        for (topic, partition), (start, end) in spans.items()
    ]
    single = {key: places[0][key] for key in ("topic", "partition")} if len(places) == 1 else {}
    return {**single, "spans": places} if places else {}


_HOST = socket.gethostname()
