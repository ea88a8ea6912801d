"""manage.py doctor: what is wrong with this installation, and how to mend it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from consumers import registry
from consumers.core.errors import Misconfigured
from consumers.doctor import Finding, Patient, Severity, examine, exit_code
from consumers.management.examples import ExampleCommand
from consumers.settings import engine_settings

_MARKS = {Severity.OK: "ok", Severity.INFO: "info", Severity.WARNING: "WARNING", Severity.ERROR: "ERROR"}


class Command(ExampleCommand):
    help = (
        "Connect to everything that consuming rests on and judge it: settings, database, broker, topics, groups, and "
        "how they fit. Nothing is changed. Exit code 0 when all is well, 1 with a warning, 2 with an error."
    )
    requires_system_checks: Any = ()  # what they find is told as findings
    examples = (
        ("doctor", "everything, for all consumers"),
        ("doctor clicks --group replay", "one consumer in another group"),
        ("doctor --json | jq '.findings[] | select(.severity == \"error\")'", "for a pipeline: what must be mended"),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="only these consumers (default: all)")
        parser.add_argument("--group", default="", help="the consumer group; by default the consumer's name")
        parser.add_argument("--json", action="store_true", help="print the findings as JSON on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            consumers = [registry.get(name) for name in options["names"] or registry.names()]
            patient = Patient(engine_settings(), consumers, options["group"])
        except Misconfigured as error:
            raise CommandError(str(error), returncode=2) from error
        findings = examine(patient)
        self.stdout.write(_as_json(findings) if options["json"] else _as_text(findings))
        sys.exit(exit_code(findings))


def _as_json(findings: list[Finding]) -> str:
    worst = max(finding.severity for finding in findings)
    return json.dumps({"worst": worst.name.lower(), "findings": [finding.as_dict() for finding in findings]})


def _as_text(findings: list[Finding]) -> str:
    lines = [line for finding in findings for line in _lines(finding)]
    counts = {each: sum(finding.severity is each for finding in findings) for each in Severity}
    told = f"{counts[Severity.ERROR]} errors, {counts[Severity.WARNING]} warnings"
    return "\n".join([*lines, f"{len(findings)} findings: {told}."])


def _lines(finding: Finding) -> Iterable[str]:
    yield f"{_MARKS[finding.severity]:<8}{finding.subject}: {finding.text}"
    if finding.mend:
        yield f"{'':<8}  mend: {finding.mend}"
