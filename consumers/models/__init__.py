"""What the engine keeps in the database. Everybody else imports the models from here."""

from consumers.models.alerts import Alert, AlertDelivery
from consumers.models.failures import PENDING, RETRIABLE, FailedRecord
from consumers.models.inbox import FailureBucket, FailureDelta, FailureGroup, FailureNote, ReasonBucket
from consumers.models.positions import OffsetGap, PartitionLedger, PositionMove
from consumers.models.runs import FailedAttempt, FailureEdit, RetryProgress, RetryRun
from consumers.models.workers import Control, ControlReply, Worker, WorkerEvent, WorkerSample

__all__ = [
    "PENDING",
    "RETRIABLE",
    "Alert",
    "AlertDelivery",
    "Control",
    "ControlReply",
    "FailedAttempt",
    "FailedRecord",
    "FailureBucket",
    "FailureDelta",
    "FailureEdit",
    "FailureGroup",
    "FailureNote",
    "OffsetGap",
    "PartitionLedger",
    "PositionMove",
    "ReasonBucket",
    "RetryProgress",
    "RetryRun",
    "Worker",
    "WorkerEvent",
    "WorkerSample",
]
