"""The engine's admin pages: failed records, with what can be done about them, and the partition ledger."""

from consumers.admin import alerts, console, failures, groups, ledger
from consumers.admin.runs import admin as runs

__all__ = ["alerts", "console", "failures", "groups", "ledger", "runs"]
