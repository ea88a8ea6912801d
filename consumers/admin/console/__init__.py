"""The live console: workers, lag, rates and what holds them up, with orders to the workers and their answers."""

from consumers.admin.console.history import ControlAdmin, WorkerEventAdmin
from consumers.admin.console.pages import WorkerAdmin

__all__ = ["ControlAdmin", "WorkerAdmin", "WorkerEventAdmin"]
