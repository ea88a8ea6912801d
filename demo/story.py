"""The whole path from Kafka to the admin, told step by step."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import OutputWrapper

from demo.account import NAME, ensure_admin
from demo.consuming import LOG_FILE, Consumed, consume
from demo.ledgers import COUNTS, failures_after, latest_failure
from demo.samples import SAMPLES
from payments.balances import unbalanced
from payments.models import Balance


class Story:
    """Runs against the servers that the settings name. `state_dir` keeps the log and the password."""

    def __init__(self, out: OutputWrapper, state_dir: Path, manage: Path) -> None:
        self.out, self.state_dir, self.manage = out, state_dir, manage

    def run(self) -> None:
        """From an empty or a used database to a summary.

        Raises:
            CommandError: a step failed; the message says why.
        """
        self._prepare()
        sent = self._produce()
        newest = latest_failure()
        self._head("Consuming: one process, three consumers, until the end of what was sent")
        done = consume(self.manage, sent, self.state_dir / LOG_FILE, sys.stdout)
        self._report(done, failures_after(newest, sent))

    def _prepare(self) -> None:
        self._head("Preparing the database")
        call_command("migrate", verbosity=0, interactive=False)
        call_command("load_sample", stdout=self.out)

    def _produce(self) -> dict[str, int]:
        """By consumer, how many records were sent to its topic."""
        self._head("Sending the sample's events")
        sent: dict[str, int] = {}
        for sample in SAMPLES.values():
            answer = io.StringIO()
            call_command("produce_events", sample=sample.consumer, json=True, stdout=answer)
            sent[sample.consumer] = json.loads(answer.getvalue())["sent"]
        return sent

    def _report(self, done: Consumed, failures: list[tuple[str, str, int]]) -> None:
        summary = done.summary
        self._head(f"{summary['received']:,} records in {summary['seconds']:.1f} s{_rate(summary)}")
        self.out.write("  " + f"{'':<12}" + "".join(f"{name:>12}" for name in COUNTS))
        for name, counts in done.counts.items():
            self.out.write(f"  {name:<12}" + "".join(f"{counts[column]:>12,}" for column in COUNTS))
        if failures:
            self._head("Failed, by reason")
        for group, reason, records in failures:
            self.out.write(f"  {group:<12} {reason:<20} {records:>6,}")
        self._say_what_it_means(done, failures)

    def _say_what_it_means(self, done: Consumed, failures: list[tuple[str, str, int]]) -> None:
        self.out.write("")
        wrong = unbalanced()
        proof = "each is the sum of its payments" if not wrong else f"{len(wrong)} ARE NOT THE SUM OF THEIR PAYMENTS"
        self.out.write(f"Balances: {Balance.objects.count():,}, {proof}.")
        if not sum(counts["written"] for counts in done.counts.values()):
            self.out.write("All of it had been sent before: every event that is good was counted as a duplicate.")
        if any(reason.startswith("unknown") for _, reason, _ in failures):
            self.out.write(
                "The unknown ones can be mended: `manage.py load_sample --complete`, then `reprocess_failures`."
            )

    def admin_account(self) -> str:
        """One line that says how to log in."""
        password = ensure_admin(self.state_dir)
        if password is None:
            return f"user {NAME}, whose password is your own (`manage.py changepassword {NAME}` sets a new one)"
        return f"user {NAME}, password {password}"

    def _head(self, text: str) -> None:
        self.out.write(f"\n{text}")
        self.out.flush()


def _rate(summary: Any) -> str:
    return f", {summary['received'] / summary['seconds']:,.0f} a second" if summary["seconds"] else ""
