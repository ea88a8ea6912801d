"""Alerts: raised in the transaction that found something, kept in an outbox, and delivered until they have arrived.

A project connects to `alert` to do what it likes with them; e-mail and a signed webhook are built in.
"""

from consumers.alerts.channels import alert
from consumers.alerts.delivery import deliver_due
from consumers.alerts.message import AlertMessage
from consumers.alerts.outbox import raise_alert

__all__ = ["AlertMessage", "alert", "deliver_due", "raise_alert"]
