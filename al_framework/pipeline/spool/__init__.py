"""The spool: what was accepted, safe on this machine's disk until every sink has it.

Group files hold pictures and metadata, a SQLite index holds the rest. Reasons and measurements:
one file per group of datapoints costs three syncs however many it holds, the index stays small,
and the index can be rebuilt from the files.
"""

from al_framework.pipeline.spool.batches import Batches
from al_framework.pipeline.spool.leases import Deliveries
from al_framework.pipeline.spool.records import (
    Acceptance,
    BatchKey,
    Candidate,
    CorruptItemError,
    FoundDelivery,
    FoundFrame,
    Lease,
    SeenFrame,
    SpoolLimits,
    SpoolStats,
)
from al_framework.pipeline.spool.store import Spool

__all__ = [
    "Acceptance",
    "BatchKey",
    "Batches",
    "Candidate",
    "CorruptItemError",
    "Deliveries",
    "FoundDelivery",
    "FoundFrame",
    "Lease",
    "SeenFrame",
    "Spool",
    "SpoolLimits",
    "SpoolStats",
]
