"""Pending → Ticket: what behind the caller's thread becomes of frames, on whichever thread it is.

Nothing raises from here: whatever happens to a frame stands in its ticket and in the counts.
"""

from collections.abc import Sequence

from al_framework.api import AlFrameworkError, SpoolDiskFullError, SpoolFullError, Ticket
from al_framework.pipeline.engine import Engine
from al_framework.pipeline.offers import Pending
from al_framework.pipeline.spool import Acceptance, Candidate


def prepare(engine: Engine, pending: Pending) -> Candidate | Ticket:
    """Encode a frame; return its ticket if it is out of the race."""
    prepared = engine.prepare(pending)
    if isinstance(prepared, Candidate):
        return prepared
    return prepared.ticket(pending.frame.frame_id)


def store(engine: Engine, candidates: Sequence[Candidate], names: Sequence[str]) -> list[Ticket]:
    """Have a group accepted; return a ticket for each of its frames."""
    try:
        results = engine.accept(candidates)
    except Exception as exc:  # noqa: BLE001 - the thread must outlive any fault of the disk
        known = isinstance(exc, AlFrameworkError)
        engine.report(f"frames were dropped: {exc}", None if known else exc)
        engine.lose(candidates, lost_because(exc))
        return [Ticket(status="dropped", reason=str(exc), frame_id=name) for name in names]
    return [_ticket(result, name) for result, name in zip(results, names, strict=True)]


def lost_because(exc: BaseException) -> str:
    """Return the reason that frames are counted under which the spool has not taken."""
    if isinstance(exc, SpoolDiskFullError):
        return "disk_full"
    return "spool_full" if isinstance(exc, SpoolFullError) else "spool_error"


def _ticket(result: Acceptance, name: str) -> Ticket:
    if result.status == "accepted":
        return Ticket(status="accepted", reason="", frame_id=name, item_id=result.item_id)
    if result.status == "limited":
        return Ticket(status="limited", reason="", frame_id=name)
    return Ticket(status="dropped", reason=result.status, frame_id=name)
