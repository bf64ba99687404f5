"""A leased row of the index, read with care: a disk may have damaged any value of it."""

import json
import math
import sqlite3
from collections.abc import Mapping
from typing import Any

from al_framework.pipeline.spool.records import Lease, Place


def read_lease(tx: sqlite3.Connection, row: tuple[Any, ...], *, sink: str, owner: str) -> Lease:
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
