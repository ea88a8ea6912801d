"""The engine's admin pages: failed records, with what can be done about them, and the partition ledger."""

from consumers.admin import failures, ledger

__all__ = ["failures", "ledger"]
