"""Pending → Ticket: what behind the caller's thread becomes of frames, on whichever thread it is.

Nothing raises from here: whatever happens to a frame stands in its ticket and in the counts.
"""

from collections.abc import Sequence
from typing import TypeAlias

from al_framework.api import AlFrameworkError, SpoolDiskFullError, SpoolFullError, Ticket
from al_framework.pipeline.engine import Engine
from al_framework.pipeline.offers import Pending
from al_framework.pipeline.spool import Acceptance, Candidate

_Named: TypeAlias = tuple[Candidate, str]


def prepare(engine: Engine, pending: Pending) -> Candidate | Ticket:
    """Encode a frame; return its ticket if it is out of the race."""
    prepared = engine.prepare(pending)
    if isinstance(prepared, Candidate):
        return prepared
    return prepared.ticket(pending.frame.frame_id)


def store(engine: Engine, candidates: Sequence[Candidate], names: Sequence[str]) -> list[Ticket]:
    """Have a group accepted, or as much of it as there is room for.

    Returns:
        A ticket for each of its frames.
    """
    tickets: dict[str, Ticket] = {}
    left = list(zip(candidates, names, strict=True))
    count = len(left)
    while left:
        part, rest = left[:count], left[count:]
        try:
            results = engine.accept([candidate for candidate, _ in part])
        except Exception as exc:  # noqa: BLE001 - the thread must outlive any fault of the disk
            if may_fit_in_parts(exc, part):
                count = len(part) // 2
                continue
            lost, left = _without_room(left) if is_spool_full(exc) else (left, [])
            tickets |= _lose(engine, lost, exc)
        else:
            for (candidate, name), result in zip(part, results, strict=True):
                tickets[candidate.item_id] = _ticket(result, name)
            left = rest
        count = len(left)
    return [tickets[candidate.item_id] for candidate in candidates]


def may_fit_in_parts(exc: Exception, group: Sequence[object]) -> bool:
    """Tell whether the spool may have room for a part of a group that it has refused."""
    return is_spool_full(exc) and len(group) > 1


def is_spool_full(exc: Exception) -> bool:
    """Tell whether it is the spool that has no room, and not its disk."""
    return isinstance(exc, SpoolFullError) and not isinstance(exc, SpoolDiskFullError)


def lost_because(exc: BaseException) -> str:
    """Return the reason that frames are counted under which the spool has not taken."""
    if isinstance(exc, SpoolDiskFullError):
        return "disk_full"
    return "spool_full" if isinstance(exc, SpoolFullError) else "spool_error"


def _without_room(left: Sequence[_Named]) -> tuple[list[_Named], list[_Named]]:
    """Split what is left when the first of it has no room: the larger ones have none either."""
    size = len(left[0][0].image)
    lost = [each for each in left if len(each[0].image) >= size]
    return lost, [each for each in left if len(each[0].image) < size]


def _lose(engine: Engine, lost: Sequence[_Named], exc: Exception) -> dict[str, Ticket]:
    known = isinstance(exc, AlFrameworkError)
    engine.report(f"frames were dropped: {exc}", None if known else exc)
    engine.lose([candidate for candidate, _ in lost], lost_because(exc))
    return {
        candidate.item_id: Ticket(status="dropped", reason=str(exc), frame_id=name)
        for candidate, name in lost
    }


def _ticket(result: Acceptance, name: str) -> Ticket:
    if result.status == "accepted":
        return Ticket(status="accepted", reason="", frame_id=name, item_id=result.item_id)
    if result.status == "limited":
        return Ticket(status="limited", reason="", frame_id=name)
    return Ticket(status="dropped", reason=result.status, frame_id=name)
