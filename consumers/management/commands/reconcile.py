"""manage.py reconcile: did we lose anything?"""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import CommandParser

from consumers.engine.process import check_database
from consumers.kafka.groups import BrokerView
from consumers.management.errors import errors_told
from consumers.management.examples import ExampleCommand
from consumers.reconcile import PartitionBooks, Report, TableBooks, reconcile
from consumers.settings import engine_settings

_COLUMNS = ("received", "written", "duplicates", "skipped", "failed", "missing", "next_offset", "lag")


class Command(ExampleCommand):
    help = (
        "Hold the ledger, the failed records, the tables and the broker's log against each other. Exit code 1 when the "
        "books do not balance."
    )
    examples = (
        ("reconcile", "everything"),
        ("reconcile --topic ads.clicks --json", "one topic, for a script"),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--topic", help="only this one")
        parser.add_argument("--group", help="only this one; tables are then left out")
        parser.add_argument("--json", action="store_true", help="print the report as JSON on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        with errors_told():
            report = self._report(options)
        self.stdout.write(json.dumps(report.as_dict()) if options["json"] else as_text(report))
        if not report.balances:
            sys.exit(1)

    def _report(self, options: dict[str, Any]) -> Report:
        settings = engine_settings()
        check_database(settings.database)
        with BrokerView(settings, options["group"] or "reconcile") as broker:
            return reconcile(broker, using=settings.database, topic=options["topic"], group=options["group"])


def as_text(report: Report) -> str:
    """The report as a table, with what is to be said below each line."""
    if not report.partitions:
        return "The ledger is empty: nothing has been consumed yet."
    lines = [f"{'group and partition':<40}" + "".join(f"{name:>13}" for name in _COLUMNS)]
    for books in report.partitions:
        lines += [_line(books), *_said(books)]
    for table in report.tables:
        lines += [f"table {table.table}: {table.written:,} rows written, {table.held:,} held", *_said(table)]
    lines.append("The books balance." if report.balances else "The books do NOT balance.")
    return "\n".join(lines)


def _line(books: PartitionBooks) -> str:
    name = f"{books.group} {books.topic}[{books.partition}]"
    return f"{name:<40}" + "".join(f"{getattr(books, column):>13,}" for column in _COLUMNS)


def _said(books: PartitionBooks | TableBooks) -> list[str]:
    return [f"    FAULT: {text}" for text in books.faults] + [f"    {text}" for text in books.remarks]
