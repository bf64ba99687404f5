"""Guided fuzzing of what lies in the spool's group files."""

import contextlib
import sqlite3
from hashlib import sha256

from guided_json import json_bytes, keys_of

from al_framework.api import datapoint_to_dict
from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.spool import CorruptItemError, Lease, Spool, SpoolLimits
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.groupfile import FOOTER, MAGIC, VERSION, read_item, scan_group
from al_framework.pipeline.spool.lives import begin_life
from al_framework.pipeline.spool.recovery import rebuild
from al_framework.pipeline.spool.schema import migrate
from al_framework.testing.samples import sample_datapoint


class Fuzzed:
    """Whatever lies in a group file is read, or left out and kept for a person.

    No fuzzer guesses a checksum. So each footer gets the right one for the lengths that it tells,
    and what begins as JSON becomes the metadata of a datapoint.
    """

    may_read = False
    file = "2024010100/g.als"

    def __init__(self, root):
        self._files = GroupFiles(root)
        self._path = self._files.path(self.file)
        self._spool = Spool(
            root,
            sinks=("s",),
            ledger=MemoryLedger({}, scope="x"),
            clock=SystemClock(),
            limits=SpoolLimits(min_free_bytes=0),
        )
        self._spool.open()
        self._path.parent.mkdir(exist_ok=True)
        self._index = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self._index, root)
        self._life = begin_life(self._index)
        values = datapoint_to_dict(sample_datapoint())
        meta = {"datapoint": values, "key": ["s", "f", 1, 2], "sinks": ["s"]}
        short = {"item_id": "i", "batch_name": "b", "utility": 1, "decided_at": 1, "decision": {}}
        envelopes = [meta, {"datapoint": short | {"target": {}}, "key": None, "sinks": []}]
        one, two = (datapoint_bytes(b"\xff\xd8", json_bytes(one)) for one in envelopes)
        self.seeds = [one, two, one + two, b"torn" + two, two[:-20], *map(json_bytes, envelopes)]
        self.words = (MAGIC, *keys_of(meta))

    def check(self, data):
        self._check(data)
        if MAGIC in data:
            self._check(sealed(data))
        if data.startswith(b"{"):
            self._check(datapoint_bytes(b"\xff\xd8", data))

    def _check(self, content):
        self._path.write_bytes(content)
        end = len(content)
        for place, meta in scan_group(content):
            image, again = read_item(self._path, place)

            assert again == meta
            assert image == content[place.offset : place.offset + place.image_bytes]
            assert place.offset + len(image) + len(meta) + FOOTER.size <= end
            end = place.offset
            self._load(place)
        self._index.execute("BEGIN")
        rebuild(self._index, self._files, sinks=("s",), now=1.0, life=self._life)
        self._index.execute("ROLLBACK")

    def _load(self, place):
        lease = Lease(
            number=1,
            item_id="i",
            sink="s",
            owner="o",
            attempts=0,
            tries=1,
            faults=0,
            checkpoint={},
            file=self.file,
            place=place,
        )
        with contextlib.suppress(CorruptItemError):
            self._spool.deliveries.load(lease)


def datapoint_bytes(image, meta):
    """Return what a group file holds of a datapoint."""
    digest = sha256(image + meta).digest()
    return image + meta + FOOTER.pack(MAGIC, VERSION, len(image), len(meta), digest)


def sealed(data):
    """Return the bytes with a right checksum in every footer whose lengths fit."""
    data, at = bytearray(data), -1
    while (at := data.find(MAGIC, at + 1)) >= 0 and at + FOOTER.size <= len(data):
        *head, image_bytes, meta_bytes, _ = FOOTER.unpack_from(data, at)
        start = at - image_bytes - meta_bytes
        if start >= 0:
            digest = sha256(data[start:at]).digest()
            FOOTER.pack_into(data, at, *head, image_bytes, meta_bytes, digest)
    return bytes(data)
