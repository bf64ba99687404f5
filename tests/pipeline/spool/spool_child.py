"""A process with a spool, for tests that kill it: run by path, never collected.

Usage: spool_child.py DIRECTORY PROGRAM [ARGUMENT...]. Every accepted item id is printed at once.
"""

import os
import sys
from pathlib import Path

from al_framework.api import Datapoint, FrameKey, Receipt
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Candidate, Spool, SpoolLimits
from al_framework.testing.fakes import FakeClock
from al_framework.testing.samples import sample_datapoint


def make_candidate(name: str, max_batch_images: int | None = None) -> Candidate:
    def compose(strategy: str) -> Datapoint:
        return sample_datapoint(
            item_id=f"item-{name}", frame_id=f"cam/{name}", image=image, strategy=strategy
        )

    image = b"\xff\xd8" + name.encode() * 100
    return Candidate(
        item_id=f"item-{name}",
        image=image,
        matching=("a",),
        decided_at=1_700_000_000.0,
        batch_name="batch",
        max_batch_images=max_batch_images,
        compose=compose,
        key=FrameKey(source="cam", frame_id=f"cam/{name}", size=1, mtime_ns=1),
    )


class Failpoint:
    """Dies, as by SIGKILL, the n-th time that a named step is reached."""

    def __init__(self, name: str = "", hits: int = 1) -> None:
        self.name, self.left = name, hits

    def __call__(self, name: str) -> None:
        if name == self.name:
            self.left -= 1
            if self.left == 0:
                os._exit(137)


def accept(spool: Spool, name: str, max_batch_images: int | None = None) -> None:
    for answer in spool.accept([make_candidate(name, max_batch_images)]):
        if answer.status == "accepted":
            os.write(1, f"{answer.item_id}\n".encode())


def fill(spool: Spool, prefix: str, count: str) -> None:
    """Accept so many datapoints, one by one."""
    for number in range(int(count)):
        accept(spool, f"{prefix}-{number}")


def fill_batch(spool: Spool, prefix: str, count: str, max_batch_images: str) -> None:
    """Offer so many datapoints to one batch, one by one."""
    for number in range(int(count)):
        accept(spool, f"{prefix}-{number}", int(max_batch_images))


def deliver(spool: Spool) -> None:
    """Deliver everything, with a checkpoint on the way."""
    while (lease := spool.deliveries.take("s1")) is not None:
        spool.deliveries.checkpoint(lease, {"half": "done"})
        spool.deliveries.deliver(lease, Receipt(status="created"))
        os.write(1, f"{lease.item_id}\n".encode())


def fork(spool: Spool) -> None:
    """Accept in this process, in a child of a fork, and here again."""
    accept(spool, "parent")
    child = os.fork()
    if child == 0:
        accept(spool, "child")
        os.write(1, f"child answers for {spool.counts()['s1'].accepted}\n".encode())
        spool.close()
        os._exit(0)
    os.waitpid(child, 0)
    accept(spool, "parent-again")
    os.write(1, f"parent answers for {spool.counts()['s1'].accepted}\n".encode())


def main(directory: str, program: str, *arguments: str) -> None:
    """Run one program on the spool."""
    failpoint = Failpoint()
    spool = Spool(
        Path(directory),
        sinks=("s1",),
        ledger=SqliteLedger({"a": [LimitRule(period="daily", value=30)]}, scope="s"),
        clock=FakeClock(),
        limits=SpoolLimits(min_free_bytes=0),
        failpoint=failpoint,
    )
    spool.open()
    if program in ("die-filling", "die-delivering"):
        name, hits, *arguments = arguments
        failpoint.name, failpoint.left = name, int(hits)
        program = {"die-filling": "fill", "die-delivering": "deliver"}[program]
    programs = {"fill": fill, "fill-batch": fill_batch, "deliver": deliver, "fork": fork}
    programs[program](spool, *arguments)
    spool.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
