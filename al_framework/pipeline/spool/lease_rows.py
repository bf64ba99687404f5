"""Leases as rows of the index, read with care: a disk may have damaged any value of them."""

import json
import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from al_framework.pipeline.spool.records import Lease, Place

Pick: TypeAlias = Literal["any", "suspect", "named"]
_FREE = "FROM delivery WHERE sink = :sink AND state = 0 AND owner IS NULL"
_FIRST = "ORDER BY due, number LIMIT 1"
# In these words, so that SQLite finds suspects and fresh ones by indexes of their own.
_PICK: Mapping[Pick, str] = {
    # What was never tried waits for no date, see `Agenda`; only where nothing else is due is it
    # asked for, so that datapoints of all processes have their turn.
    "any": f"""coalesce((SELECT number {_FREE} AND due <= :now {_FIRST}),
        (SELECT number {_FREE} AND tries = 0 {_FIRST}))""",
    "suspect": f"(SELECT number {_FREE} AND due <= :now AND crashes > 0 {_FIRST})",
    "named": f"""(SELECT number {_FREE} AND (due <= :now OR tries = 0)
        AND number = (SELECT number FROM item WHERE item_id = :item_id))""",  # noqa: S608 - constant
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who takes a lease, and when.

    Attributes:
        owner: Names the lease.
        sink: The sink to deliver to.
        until: When it ends, by the monotonic clock.
        now: UTC epoch seconds.
        active_s: Seconds for which the sink has been tried so far.
    """

    owner: str
    sink: str
    until: float
    now: float
    active_s: float


def lease_row(
    tx: sqlite3.Connection, claim: Claim, pick: Pick, *, item_id: str | None = None
) -> Lease | None:
    """Lease the row that is due first; None if none is.

    Args:
        tx: The transaction.
        claim: Who takes it, and when.
        pick: Which rows come into question: every one, those that were in hand when a process
            died, or that of one datapoint.
        item_id: That datapoint.
    """
    row = tx.execute(
        f"""UPDATE delivery SET owner = :owner, lease_until = :until, tries = tries + 1,
            due = min(due, :now),
            active_at = CASE WHEN attempts = 0 THEN :active_s ELSE active_at END
        WHERE sink = :sink AND number = {_PICK[pick]}
        RETURNING number, attempts, tries, faults, checkpoint, crashes, active_at,
            refusals""",  # noqa: S608 - one of ours
        {
            "owner": claim.owner,
            "until": claim.until,
            "sink": claim.sink,
            "now": claim.now,
            "active_s": claim.active_s,
            "item_id": item_id,
        },
    ).fetchone()
    return None if row is None else _read(tx, row, sink=claim.sink, owner=claim.owner)


def _read(tx: sqlite3.Connection, row: tuple[Any, ...], *, sink: str, owner: str) -> Lease:
    """Return the lease that a row of ``delivery`` stands for, with where its datapoint lies."""
    number, attempts, tries, faults, checkpoint, crashes, active_at, refusals = row
    item_id, file, offset, image_bytes, meta_bytes, accepted_at = tx.execute(
        """SELECT item_id, file, offset, image_bytes, meta_bytes, accepted_at
        FROM item WHERE number = ?""",
        (number,),
    ).fetchone()
    return Lease(
        number=number,
        item_id=item_id,
        sink=sink,
        owner=owner,
        attempts=int(read_number(attempts)),
        tries=int(read_number(tries)),
        faults=int(read_number(faults)),
        checkpoint=_checkpoint(checkpoint),
        file=str(file),
        place=Place(offset=offset, image_bytes=image_bytes, meta_bytes=meta_bytes),
        accepted_at=read_number(accepted_at),
        crashes=int(read_number(crashes)),
        active_at=read_number(active_at),
        refusals=int(read_number(refusals)),
    )


def read_number(value: object) -> float:
    """Return a number of the index; 0 for what a damaged disk has made of one."""
    return value if isinstance(value, int | float) and math.isfinite(value) else 0


def _checkpoint(text: object) -> Mapping[str, str]:
    """Return what a sink has saved; nothing if that is damaged, so it begins anew."""
    try:
        state = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        state = {}
    is_ours = isinstance(state, dict) and all(isinstance(one, str) for one in state.values())
    return state if is_ours else {}
