"""The judge: whether every obligation was met, once faults have stopped and all is drained.

A verdict is a mapping from what is wrong to the names for which it is; an empty one is what every
test asks for. It is reached from three things that the judged code does not write: the ack log, the
remote's log, and the names of what was offered.
"""

import json
import sqlite3
from collections import Counter
from hashlib import sha256
from pathlib import Path

from offers import AckLog, datapoint_of, image_digest, words_of

from al_framework.pipeline.spool.groupfile import read_item
from al_framework.pipeline.spool.records import CorruptItemError, Place


def read_log(path):
    try:
        return [json.loads(line) for line in Path(path).read_bytes().splitlines()]
    except FileNotFoundError:
        return []


def verdict(acks, remote_log, *, is_offered, image_bytes):
    """Judge deliveries: nothing lost, nothing strange, nothing altered, nothing twice."""
    names = AckLog.read(acks)
    lines = read_log(remote_log)
    created = {
        op: Counter(line["item_id"] for line in lines if line["op"] == op and line["new"])
        for op in ("image", "annotation")
    }
    digests = {(line["op"], line["item_id"]): line["digest"] for line in lines}
    wrong = {
        "acknowledged twice": [name for name, count in Counter(names).items() if count > 1],
        "altered on the way": [line["item_id"] for line in lines if line["op"] == "altered"],
    }
    for op, seen in created.items():
        wrong[f"{op} lost"] = [name for name in names if f"item-{name}" not in seen]
        wrong[f"{op} never offered"] = [
            item for item in seen if not is_offered(item.removeprefix("item-"))
        ]
        wrong[f"{op} twice"] = [item for item, count in seen.items() if count > 1]
        wrong[f"{op} differs"] = [
            item for item in seen if digests[op, item] != _digest(op, item, image_bytes)
        ]
    return {what: found for what, found in wrong.items() if found}


def _digest(op, item_id, image_bytes):
    datapoint = datapoint_of(item_id.removeprefix("item-"), image_bytes, 0.0)
    return image_digest(datapoint) if op == "image" else sha256(words_of(datapoint)).hexdigest()


def _open(directory):
    return sqlite3.connect(f"file:{directory}/spool.db?mode=ro", uri=True, timeout=30)


def query(directory, sql):
    """Ask the index, as a stranger would."""
    connection = _open(directory)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def broken_rows(directory):
    """Return the datapoints whose row points to anything but their intact bytes."""
    broken = []
    rows = query(directory, "SELECT item_id, file, offset, image_bytes, meta_bytes FROM item")
    for item_id, file, offset, image_bytes, meta_bytes in rows:
        place = Place(offset=offset, image_bytes=image_bytes, meta_bytes=meta_bytes)
        try:
            read_item(Path(directory) / "obj" / file, place)
        except CorruptItemError:
            broken.append(item_id)
    return broken


def group_files(directory):
    return sorted((Path(directory) / "obj").glob("*/*.als"))


def leftovers(directory):
    """Judge a spool that should be empty: no row, no file, no damage, numbers that agree."""
    rows = {
        table: query(directory, f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608 - two literals
        for table in ("item", "delivery")
    }
    wrong = {
        "rows left": [table for table, count in rows.items() if count],
        "files left": [path.name for path in group_files(directory)],
        "totals": [row for row in query(directory, "SELECT items, bytes FROM total") if any(row)],
        "integrity": [
            row[0] for row in query(directory, "PRAGMA integrity_check") if row != ("ok",)
        ],
    }
    return {what: found for what, found in wrong.items() if found}
