"""An index built anew from the group files."""

import logging
import sqlite3
from collections.abc import Sequence

from al_framework.api import Target
from al_framework.pipeline.spool.batches import take_place
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.groupfile import (
    FOOTER,
    NOT_OF_THE_FILE,
    read_group,
    scan_group,
)
from al_framework.pipeline.spool.items import Row, decode_meta, insert_item
from al_framework.pipeline.spool.records import BatchKey, Place
from al_framework.pipeline.spool.seen import remember

_MAX_TEXT = 500
_STRANGE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
_LOG = logging.getLogger(__name__)


def rebuild(
    tx: sqlite3.Connection, files: GroupFiles, *, sinks: Sequence[str], now: float, life: int
) -> bool:
    """Fill an empty index from the group files; every datapoint is delivered again to all sinks.

    Args:
        tx: The transaction that is to hold it.
        files: The spool's group files.
        sinks: Where datapoints go that do not say so themselves.
        now: UTC epoch seconds.
        life: Who answers for them.

    Returns:
        Whether there was a single file.

    Raises:
        OSError: No file can be read at the moment; what is damaged is not meant.
    """
    found, any_file = 0, False
    for file in files.list():
        any_file = True
        size = files.path(file).stat().st_size
        places = _read(files, file, size)
        if not places and size:
            # Nobody was told that this is accepted, or it is damaged: let a person see it.
            aside = files.set_aside(file)
            _LOG.warning(
                "spool '%s': group file %r holds nothing that can be read; it is kept as '%s'",
                files.directory,
                file,
                aside,
            )
            continue
        for place, meta in places:
            found += _restore(tx, file, place, meta, sinks=sinks, now=now, life=life)
        _account(tx, file, size)
    if any_file:
        _LOG.warning(
            "spool '%s': built its index anew with %d datapoints from the group files",
            files.directory,
            found,
        )
    return any_file


def _read(files: GroupFiles, file: str, size: int) -> list[tuple[Place, bytes]]:
    """Return what is intact in a file; one at a time, since the backlog may be beyond memory."""
    try:
        data = read_group(files.path(file))
    except OSError as exc:
        if exc.errno in NOT_OF_THE_FILE:
            raise
        _LOG.warning("spool '%s': group file %r: left out: %s", files.directory, file, exc)
        return []
    places = list(reversed(list(scan_group(data))))
    intact = sum(p.image_bytes + p.meta_bytes + FOOTER.size for p, _ in places)
    if places and intact < size:
        _LOG.error(
            "spool '%s': group file %r: %d of its %d bytes are damaged and left out; a copy of the"
            " whole is kept as '%s'",
            files.directory,
            file,
            size - intact,
            size,
            files.keep_copy(file),
        )
    return places


def _account(tx: sqlite3.Connection, file: str, size: int) -> None:
    """Count a file with what is damaged in it: all of it lies on the disk."""
    row = tx.execute("SELECT bytes FROM group_file WHERE file = ?", (file,)).fetchone()
    if row is not None and row[0] != size:
        tx.execute("UPDATE group_file SET bytes = ? WHERE file = ?", (size, file))
        tx.execute("UPDATE total SET bytes = bytes + ?", (size - row[0],))


def _restore(  # noqa: PLR0913 - one call, split off for its length
    tx: sqlite3.Connection,
    file: str,
    place: Place,
    meta: bytes,
    *,
    sinks: Sequence[str],
    now: float,
    life: int,
) -> bool:
    # Whoever may write into the directory may write anything, a good checksum included: what does
    # not fit into the index costs itself, and never the start.
    tx.execute("SAVEPOINT restored")
    try:
        return _insert(tx, file, place, meta, sinks=sinks, now=now, life=life)
    except _STRANGE as exc:
        tx.execute("ROLLBACK TO restored")
        text = "spool: group file %r, offset %d: left out: %s"
        _LOG.warning(text, file, place.offset, str(exc)[:_MAX_TEXT])
        return False
    finally:
        tx.execute("RELEASE restored")


def _insert(  # noqa: PLR0913 - as above
    tx: sqlite3.Connection,
    file: str,
    place: Place,
    meta: bytes,
    *,
    sinks: Sequence[str],
    now: float,
    life: int,
) -> bool:
    values, key, meant_for = decode_meta(meta)
    item_id, batch_name = str(values["item_id"]), str(values["batch_name"])
    detail, decided_at = values["decision"], float(values["decided_at"])
    utility = float(values["utility"])
    batch = BatchKey(name=batch_name, target=Target(**values.get("target", {})))
    if tx.execute("SELECT 1 FROM item WHERE item_id = ?", (item_id,)).fetchone() is not None:
        return False
    targets = meant_for or tuple(sinks)
    row = Row(item_id=item_id, file=file, place=place, batch=batch, sinks=targets, utility=utility)
    insert_item(tx, row, now=now, life=life, counted="recovered")
    take_place(tx, batch, None, sinks=targets, now=now)
    if key is not None:
        remember(tx, key, outcome="accepted", decided_at=decided_at, detail=detail, item_id=item_id)
    return True
