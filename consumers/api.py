"""Everything that a consumer's file imports: the one public module of the engine."""

from consumers.consumer import BatchConsumer
from consumers.core.errors import FatalError, RecordError, TransientError, reject
from consumers.core.policies import BatchPolicy, RetryPolicy
from consumers.core.records import Record
from consumers.ingest import IngestManager
from consumers.instances import IngestModel
from consumers.recent import RecentRows
from consumers.registry import register
from consumers.rows import row_type

__all__ = [
    "BatchConsumer",
    "BatchPolicy",
    "FatalError",
    "IngestManager",
    "IngestModel",
    "RecentRows",
    "Record",
    "RecordError",
    "RetryPolicy",
    "TransientError",
    "register",
    "reject",
    "row_type",
]
