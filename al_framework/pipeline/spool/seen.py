"""What the spool remembers of frames: which need not come again, and why each was taken or not."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any, Literal

from al_framework.api import FrameKey
from al_framework.pipeline.spool.records import FoundDelivery, FoundFrame

# Frames without a file (a library's) can never come again, so they are remembered for a while only,
# and no more of them than some 15 MB of the index hold.
KEEP_PASSING_S = 7 * 86400.0
KEEP_PASSING = 20_000
_STATES: tuple[Literal["pending", "delivered", "dead", "evicted"], ...] = (
    "pending",
    "delivered",
    "dead",
    "evicted",
)
_FOUND = "SELECT source, frame_id, outcome, decided_at, item_id, detail, results FROM seen"


def remember(  # noqa: PLR0913 - a row has that many columns, and they are keyword-only
    tx: sqlite3.Connection,
    key: FrameKey,
    *,
    outcome: str,
    decided_at: float,
    detail: Mapping[str, Any],
    item_id: str | None = None,
) -> None:
    """Write down what became of a frame, in place of what was known of an earlier version of it."""
    tx.execute(
        """INSERT OR REPLACE INTO seen
            (source, frame_id, size, mtime_ns, outcome, decided_at, item_id, detail)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            key.source,
            key.frame_id,
            key.size,
            key.mtime_ns,
            outcome,
            decided_at,
            item_id,
            json.dumps(detail, separators=(",", ":")),
        ),
    )


def forget_passing(tx: sqlite3.Connection, now: float) -> None:
    """Forget frames that came from no source: those that are old, and the oldest of too many."""
    before = now - KEEP_PASSING_S
    last = tx.execute(
        """SELECT CAST(decided_at AS REAL) FROM seen WHERE source = ''
        ORDER BY decided_at DESC LIMIT 1 OFFSET ?""",
        (KEEP_PASSING - 1,),
    ).fetchone()
    if last is not None:
        before = max(before, last[0])
    tx.execute("DELETE FROM seen WHERE source = '' AND decided_at < ?", (before,))


def is_seen(tx: sqlite3.Connection, key: FrameKey) -> bool:
    """Tell whether this very version of a frame has been dealt with."""
    row = tx.execute(
        """SELECT 1 FROM seen
        WHERE source = ? AND frame_id = ? AND size = ? AND mtime_ns = ?""",
        (key.source, key.frame_id, key.size, key.mtime_ns),
    ).fetchone()
    return row is not None


def find_frames(tx: sqlite3.Connection, frame_id: str, *, limit: int) -> tuple[FoundFrame, ...]:
    """Return the frames of that name, or those whose name ends with it if there are none."""
    rows = tx.execute(f"{_FOUND} WHERE frame_id = ? LIMIT ?", (frame_id, limit)).fetchall()
    if not rows and frame_id:
        rows = tx.execute(
            f"""{_FOUND} WHERE substr(frame_id, -length(:end)) = :end
            ORDER BY source, frame_id LIMIT :limit""",
            {"end": frame_id, "limit": limit},
        ).fetchall()
    return tuple(_found(tx, row) for row in rows)


def record_results(tx: sqlite3.Connection, item_id: str, deliveries: list[FoundDelivery]) -> None:
    """Keep how a datapoint ended at each sink, once its own rows are about to go."""
    results = [{name: getattr(d, name) for name in FoundDelivery.__slots__} for d in deliveries]
    tx.execute(
        "UPDATE seen SET results = ? WHERE item_id = ?",
        (json.dumps(results, separators=(",", ":")), item_id),
    )


def deliveries_of(tx: sqlite3.Connection, number: int) -> list[FoundDelivery]:
    """Return how far a datapoint came at each sink."""
    rows = tx.execute(
        "SELECT sink, state, attempts, result FROM delivery WHERE number = ? ORDER BY sink",
        (number,),
    )
    return [
        FoundDelivery(sink=sink, state=_STATES[state], attempts=attempts, **read_result(result))
        for sink, state, attempts, result in rows
    ]


def read_result(text: object) -> Mapping[str, Any]:
    """Return how a delivery ended; nothing if a disk has damaged what was written."""
    try:
        result = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    known = {"status", "remote_id", "url", "reason"}
    return {name: result[name] for name in known & set(result)} if isinstance(result, dict) else {}


def _deliveries(text: object) -> list[FoundDelivery]:
    """Return what was kept of the deliveries; none if a disk has damaged it."""
    try:
        return [FoundDelivery(**values) for values in json.loads(str(text))]
    except (ValueError, TypeError, RecursionError):
        return []


def _detail(text: object) -> Mapping[str, Any]:
    """Return why it was decided so; nothing if a disk has damaged it."""
    try:
        detail = json.loads(str(text))
    except (ValueError, RecursionError):
        return {}
    return detail if isinstance(detail, dict) else {}


def _found(tx: sqlite3.Connection, row: tuple[Any, ...]) -> FoundFrame:
    source, frame_id, outcome, decided_at, item_id, detail, results = row
    item = tx.execute("SELECT number FROM item WHERE item_id = ?", (item_id,)).fetchone()
    deliveries = _deliveries(results) if item is None else deliveries_of(tx, item[0])
    return FoundFrame(
        source=source,
        frame_id=frame_id,
        outcome=outcome,
        decided_at=decided_at,
        item_id=item_id,
        detail=_detail(detail),
        deliveries=tuple(deliveries),
    )
