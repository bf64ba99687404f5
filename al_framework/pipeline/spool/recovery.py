"""What happens when the spool opens: an index built anew from the group files, and a broom."""

import logging
import sqlite3
from collections.abc import Sequence

from al_framework.api import Target
from al_framework.pipeline.spool.batches import take_place
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.groupfile import scan_group
from al_framework.pipeline.spool.items import Row, decode_meta, insert_item
from al_framework.pipeline.spool.records import BatchKey, Place
from al_framework.pipeline.spool.seen import remember

ORPHAN_AGE_S = 600.0
_LOG = logging.getLogger(__name__)


def rebuild(
    tx: sqlite3.Connection, files: GroupFiles, *, sinks: Sequence[str], now: float
) -> int | None:
    """Fill an empty index from the group files; every datapoint is delivered again to all sinks.

    Returns:
        How many datapoints were found; None if there was not a single file.
    """
    found, any_file = 0, False
    for file in files.list():
        any_file = True
        # One group at a time: the backlog may be larger than memory.
        for place, meta in reversed(list(scan_group(files.path(file).read_bytes()))):
            found += _restore(tx, file, place, meta, sinks=sinks, now=now)
    return found if any_file else None


def sweep(tx: sqlite3.Connection, files: GroupFiles, now: float) -> None:
    """Remove old group files that no row refers to: left by a process killed before its commit.

    The caller holds the spool's lock, so no file is about to get its row.
    """
    for file in list(files.list()):
        path = files.path(file)
        known = tx.execute("SELECT 1 FROM item WHERE file = ? LIMIT 1", (file,)).fetchone()
        if known is None and now - path.stat().st_mtime > ORPHAN_AGE_S:
            files.remove(file, now)
            _LOG.info("spool '%s': removed unfinished group file %r", files.directory, file)
    files.remove_empty_hours(now)


def _restore(  # noqa: PLR0913 - one call, split off for its length
    tx: sqlite3.Connection,
    file: str,
    place: Place,
    meta: bytes,
    *,
    sinks: Sequence[str],
    now: float,
) -> bool:
    try:
        values, key, meant_for = decode_meta(meta)
        item_id, batch_name = str(values["item_id"]), str(values["batch_name"])
        detail, decided_at = values["decision"], float(values["decided_at"])
        batch = BatchKey(name=batch_name, target=Target(**values.get("target", {})))
    except (ValueError, KeyError, TypeError) as exc:
        _LOG.warning("spool: group file %r, offset %d: left out: %s", file, place.offset, exc)
        return False
    if tx.execute("SELECT 1 FROM item WHERE item_id = ?", (item_id,)).fetchone() is not None:
        return False
    # Life 0 has never been: the life that opens takes these over as recovered.
    targets = meant_for or tuple(sinks)
    row = Row(item_id=item_id, file=file, place=place, batch=batch, sinks=targets)
    insert_item(tx, row, now=now, life=0)
    take_place(tx, batch, None, sinks=targets, now=now)
    if key is not None:
        remember(tx, key, outcome="accepted", decided_at=decided_at, detail=detail, item_id=item_id)
    return True
