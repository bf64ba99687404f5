"""What writers offer: everything follows from a name, so that a judge can tell what must arrive.

A name becomes an obligation when it stands in the ack log, into which only what was reported as
accepted is written. One line is one `write` with O_APPEND: a kill leaves whole lines or none.
"""

import dataclasses
import functools
import hashlib
import json
import os
import random
from pathlib import Path

from al_framework.api import Datapoint, datapoint_to_dict
from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Candidate, Spool, SpoolLimits
from al_framework.testing.samples import sample_datapoint

SINK = "remote"
STRATEGY = "a"
UNLIMITED = 1_000_000


@functools.cache
def _sample():
    return sample_datapoint()


def picture(name, image_bytes):
    """Return the picture of that name."""
    return b"\xff\xd8" + random.Random(name).randbytes(image_bytes)


def datapoint_of(name, image_bytes, decided_at=None) -> Datapoint:
    """Return what has to arrive at the sink."""
    image = picture(name, image_bytes)
    return dataclasses.replace(
        _sample(),
        item_id=f"item-{name}",
        frame_id=f"cam/{name}",
        image=image,
        content_key=hashlib.sha256(image).hexdigest(),
        strategy=STRATEGY,
        attributes={"name": name},
        decided_at=SystemClock().time() if decided_at is None else decided_at,
    )


def candidate(name, image_bytes, decided_at=None, sinks=None) -> Candidate:
    datapoint = datapoint_of(name, image_bytes, decided_at)
    return Candidate(
        item_id=datapoint.item_id,
        image=datapoint.image,
        matching=(STRATEGY,),
        decided_at=datapoint.decided_at,
        batch_name=datapoint.batch_name,
        compose=lambda strategy: datapoint,
        sinks=sinks,
    )


def image_digest(datapoint):
    return hashlib.sha256(datapoint.image).hexdigest()


def words_of(datapoint):
    """Return everything but the picture, as it is sent; of the moment that differs, nothing."""
    values = datapoint_to_dict(dataclasses.replace(datapoint, decided_at=0.0))
    return json.dumps(values, sort_keys=True).encode()


def make_ledger():
    rules = {STRATEGY: [LimitRule(period="daily", value=UNLIMITED)]}
    return SqliteLedger(rules, scope="crash")


def make_spool(directory, *, sinks=(SINK,), **options) -> Spool:
    options.setdefault("ledger", make_ledger())
    options.setdefault("clock", SystemClock())
    options.setdefault("limits", SpoolLimits(min_free_bytes=0))
    return Spool(Path(directory), sinks=sinks, **options)


class AckLog:
    """Names that were reported as accepted."""

    def __init__(self, path):
        self.path = Path(path)
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, names):
        os.write(self._descriptor, "".join(f"{name}\n" for name in names).encode())

    @staticmethod
    def read(path):
        try:
            return Path(path).read_text(encoding="ascii").split()
        except FileNotFoundError:
            return []


def accept(spool, log, offers, image_bytes):
    """Offer one group, and log what was accepted."""
    group = [candidate(name, image_bytes) for name in offers]
    accepted = [one.item_id for one in spool.accept(group) if one.status == "accepted"]
    log.add(item_id.removeprefix("item-") for item_id in accepted)
    return accepted


class Dies:
    """A fail point: the process ends, as by SIGKILL, the n-th time that it passes."""

    def __init__(self, name="", hits=1):
        self.name, self.left = name, hits

    def __call__(self, name):
        if name == self.name:
            self.left -= 1
            if self.left == 0:
                os._exit(137)
