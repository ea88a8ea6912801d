"""What the engine keeps in the database. Everybody else imports the models from here."""

from consumers.models.failures import PENDING, FailedRecord
from consumers.models.positions import OffsetGap, PartitionLedger, PositionMove

__all__ = ["PENDING", "FailedRecord", "OffsetGap", "PartitionLedger", "PositionMove"]
