"""The spool: what was accepted, safe on this machine's disk until every sink has it.

Group files hold pictures and metadata, a SQLite index holds the rest. Reasons and measurements:
one file per group of datapoints costs three syncs however many it holds, the index stays small,
and the index can be rebuilt from the files.
"""

from al_framework.pipeline.spool.batches import Batches
from al_framework.pipeline.spool.dead import DeadLetter, DeadLetters, RetryReport
from al_framework.pipeline.spool.leases import Deliveries
from al_framework.pipeline.spool.records import (
    Acceptance,
    BatchKey,
    Candidate,
    CorruptItemError,
    Damage,
    FoundDelivery,
    FoundFrame,
    GcReport,
    Lease,
    SeenFrame,
    SpoolLimits,
    SpoolStats,
    VerifyReport,
)
from al_framework.pipeline.spool.sinks import Backlog, SinkRecord, SinkTable
from al_framework.pipeline.spool.store import Spool

__all__ = [
    "Acceptance",
    "Backlog",
    "BatchKey",
    "Batches",
    "Candidate",
    "CorruptItemError",
    "Damage",
    "DeadLetter",
    "DeadLetters",
    "Deliveries",
    "FoundDelivery",
    "FoundFrame",
    "GcReport",
    "Lease",
    "RetryReport",
    "SeenFrame",
    "SinkRecord",
    "SinkTable",
    "Spool",
    "SpoolLimits",
    "SpoolStats",
    "VerifyReport",
]
