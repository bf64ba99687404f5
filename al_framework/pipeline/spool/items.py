"""Rows of the index for datapoints, and the metadata beside a picture in its group file."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from al_framework.api import Datapoint, FrameKey, SpoolError, datapoint_to_dict
from al_framework.pipeline.spool.lives import TallyColumn, add_to_tally
from al_framework.pipeline.spool.records import BatchKey, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What the index holds of a new datapoint.

    Attributes:
        item_id: The datapoint.
        file: Its group file.
        place: Where in it.
        batch: Labelling batch.
        sinks: Where it goes.
        utility: What it is worth, as its strategy says.
    """

    item_id: str
    file: str
    place: Place
    batch: BatchKey
    sinks: Sequence[str]
    utility: float


def encode_meta(datapoint: Datapoint, key: FrameKey | None, sinks: Sequence[str]) -> bytes:
    """Return a datapoint's metadata with all that is needed to rebuild its rows.

    Raises:
        SpoolError: They hold something that JSON cannot express.
    """
    envelope = {
        "datapoint": datapoint_to_dict(datapoint),
        "key": None if key is None else [key.source, key.frame_id, key.size, key.mtime_ns],
        "sinks": list(sinks),
    }
    try:
        return json.dumps(envelope, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError) as exc:
        raise SpoolError(
            f"datapoint {datapoint.item_id!r} of frame {datapoint.frame_id!r}: its metadata cannot"
            f" be written as JSON: {exc}"
        ) from exc


def decode_meta(meta: bytes) -> tuple[Mapping[str, Any], FrameKey | None, tuple[str, ...]]:
    """Return the datapoint's values, its key and its sinks.

    Raises:
        ValueError: They are of another form.
    """
    try:
        envelope = json.loads(meta)
        key = envelope["key"]
        if key is not None:
            source, frame_id, size, mtime_ns = key
            key = FrameKey(source=source, frame_id=frame_id, size=size, mtime_ns=mtime_ns)
        return envelope["datapoint"], key, tuple(envelope["sinks"])
    except (KeyError, TypeError, RecursionError) as exc:
        raise ValueError(
            f"the metadata are not a datapoint's: {type(exc).__name__}: {exc}"
        ) from exc


def insert_item(
    tx: sqlite3.Connection, row: Row, *, now: float, life: int, counted: TallyColumn = "accepted"
) -> None:
    """Add a datapoint and its deliveries, and count them for a life."""
    place = row.place
    number = tx.execute(
        """INSERT INTO item
            (item_id, file, offset, image_bytes, meta_bytes, workspace, project, batch_name,
            accepted_at, utility)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            row.item_id,
            row.file,
            place.offset,
            place.image_bytes,
            place.meta_bytes,
            *row.batch.columns,
            now,
            row.utility,
        ),
    ).lastrowid
    for sink in row.sinks:
        tx.execute(
            "INSERT INTO delivery (number, sink, life, due) VALUES (?, ?, ?, ?)",
            (number, sink, life, now),
        )
        add_to_tally(tx, life, sink, counted)
