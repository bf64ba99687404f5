"""The leader is killed with a delivery half done, beside a process that stands by.

Usage: takeover.py DIRECTORY PORT HOW; prints a JSON report. HOW is ``reaped``, or ``zombie``:
nobody asks how the leader ended, as under a parent that does not care.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from judge import leftovers, query, read_log, verdict
from kill_crew import fork
from offers import SINK, AckLog, accept, make_spool
from remote import RemoteSink

from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.delivery import Delivery

IMAGE_BYTES = 2000
ITEMS = 20
HANGS_AT = 4  # pictures, in the middle of the delivery of this one
HANG_S = 20.0  # for what takes well below a second
TICK_S = 0.01


class HangsHalfway:
    """Checkpoints that the leader never comes back from, once enough pictures are there."""

    def __init__(self, checkpoint, log):
        self._checkpoint, self._log = checkpoint, log

    @property
    def state(self):
        return self._checkpoint.state

    def save(self, **values):
        if len(pictures(self._log)) >= HANGS_AT:
            threading.Event().wait()
        self._checkpoint.save(**values)


def pictures(log):
    return [line for line in read_log(log) if line["op"] == "image" and line["new"]]


def deliver(directory, port, hangs):
    """Deliver for ever, or stand by."""
    spool, sink = make_spool(directory / "spool"), RemoteSink(port)
    spool.open()

    def half(datapoint, checkpoint):
        return sink(datapoint, HangsHalfway(checkpoint, directory / "remote.log"))

    Delivery(
        spool, {SINK: half if hangs else sink}, clock=SystemClock(), workers=1, poll_s=0.02
    ).start()
    threading.Event().wait()


def wait(condition):
    deadline = time.monotonic() + HANG_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(TICK_S)
    return condition()


def main(directory, port, how):
    """Kill the leader while it hangs."""
    directory, log = Path(directory), Path(directory) / "remote.log"
    spool_directory = directory / "spool"
    with make_spool(spool_directory) as spool:
        accept(spool, AckLog(directory / "acks"), [f"n{i}" for i in range(ITEMS)], IMAGE_BYTES)
    leader = fork(deliver, directory, port, True)
    report = {"hangs": wait(lambda: len(pictures(log)) == HANGS_AT)}
    standby = fork(deliver, directory, port, False)
    report["stands by"] = wait(
        lambda: query(spool_directory, "SELECT count(*) FROM life")[0][0] >= 2
    )
    report["delivered beside the leader"] = [
        line for line in read_log(log) if line["pid"] == standby
    ]
    os.kill(leader, signal.SIGKILL)
    if how == "reaped":
        os.waitpid(leader, 0)
    report["taken over"] = wait(
        lambda: query(spool_directory, "SELECT count(*) FROM item")[0][0] == 0
    )
    os.kill(standby, signal.SIGKILL)
    os.waitpid(standby, 0)
    lines = read_log(log)
    report["pictures"] = {
        who: sum(line["pid"] == pid for line in lines if line["op"] == "image")
        for who, pid in (("leader", leader), ("standby", standby))
    }
    report["verdict"] = {
        **verdict(directory / "acks", log, is_offered=lambda name: True, image_bytes=IMAGE_BYTES),
        **leftovers(spool_directory),
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
